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
/** What of Node is loaded when it is first called: an idle proxy calls none of it. */
const LAZY = {
  'node:crypto': ['randomBytes', 'randomFillSync', 'randomUUID'],
  'node:v8': ['getHeapStatistics', 'setFlagsFromString'],
  'node:vm': ['runInNewContext']
}

const bundle = await rollup({
  input: ENTRY,
  external: (id) => (isBuiltin(id) && !(id in LAZY)) || LATER.includes(id),
  plugins: [
    {
      name: 'lazy',
      resolveId: (id) => (id in LAZY ? `\0lazy:${id}` : undefined),
      load: (id) => (id.startsWith('\0lazy:') ? lazyModule(id.slice(6)) : undefined)
    },
    nodeResolve({ exportConditions: ['node'] }),
    commonjs({ ignoreDynamicRequires: true }),
    json(),
    {
      name: 'file-url',
      resolveImportMeta: () => "require('node:url').pathToFileURL(__filename).href"
    },
    { name: 'ascii', renderChunk: (code) => ({ code: inAscii(code), map: null }) }
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

function lazyModule(id) {
  return LAZY[id]
    .map((name) => `export function ${name}(...args) { return require('${id}').${name}(...args) }`)
    .join('\n')
}

/** V8 keeps a text with other characters than Latin-1's in twice the memory. */
function inAscii(code) {
  return code.replace(
    /[^\0-\x7f]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
  )
}

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
