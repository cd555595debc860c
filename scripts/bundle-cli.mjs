/**
 * Puts the compiled command line, dist/proxy/cli.js, into one CommonJS file beside it with all it
 * imports, packages included: that is what users run. Finding three hundred modules takes longer
 * than running them, and leaves 10 MiB behind.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { join } from 'node:path'
import commonjs from '@rollup/plugin-commonjs'
import json from '@rollup/plugin-json'
import { nodeResolve } from '@rollup/plugin-node-resolve'
import { rollup } from 'rollup'
import { filesBelow, ROOT } from './tools.mjs'

const ENTRY = join(ROOT, 'dist/proxy/cli.js')
const BUNDLE = ENTRY.replace('.js', '.cjs')
/** Not needed until somebody asks for metrics: a dependency of ours, found at run time. */
const LATER = ['prom-client']

const bundle = await rollup({
  input: ENTRY,
  external: (id) => isBuiltin(id) || LATER.includes(id),
  plugins: [
    nodeResolve({ exportConditions: ['node'] }),
    commonjs({ ignoreDynamicRequires: true }),
    json(),
    {
      name: 'file-url',
      resolveImportMeta: () => "require('node:url').pathToFileURL(__filename).href"
    }
  ],
  onLog: (level, log, handle) => {
    // TypeScript's helpers say `this` at the top of a module.
    if (log.code !== 'THIS_IS_UNDEFINED') handle(level === 'info' ? level : 'error', log)
  }
})
const { output } = await bundle.write({
  file: BUNDLE,
  format: 'cjs',
  inlineDynamicImports: true,
  generatedCode: 'es2015',
  // As the compiler did: a package has no sources that a map could lead to.
  sourcemap: existsSync(`${ENTRY}.map`)
})
writeFileSync(`${BUNDLE}.LICENSES`, licences(Object.keys(output[0].modules)))

/** What the licences of the packages in the bundle ask for: that they come with it. */
function licences(modules) {
  const roots = modules.map((path) => /(\/.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1])
  return [...new Set(roots)]
    .filter((root) => root !== undefined)
    .sort()
    .map((root) => {
      const { name, version, license } = JSON.parse(
        readFileSync(join(root, 'package.json'), 'utf8')
      )
      const file = filesBelow(root).find((path) => /\/licen[sc]e[^/]*$/i.test(path))
      const text = file === undefined ? license : readFileSync(file, 'utf8').trim()
      return `${name} ${version}\n\n${text}\n`
    })
    .join(`\n${'-'.repeat(80)}\n\n`)
}
