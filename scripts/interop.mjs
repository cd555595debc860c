/**
 * Builds the Go programs that the interop tests speak with, where Go and its modules can be had, and
 * runs those tests. Arguments choose among them, as with test:node.
 *
 * `SHMESH_GO_REPLACE=DIR` builds with a checkout of shmipc-go instead of the released module.
 * `--build` only builds.
 */
import { spawnSync } from 'node:child_process'
import { appendFileSync, copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { capture, ROOT, seconds, which } from './tools.mjs'

const BUILD = join(ROOT, 'adapter/test/interop/build')
const GO_PROGRAMS = [
  { name: 'go-peer', module: 'adapter/test/interop/go', package: '.' },
  { name: 'go-service', module: 'examples/go-service', package: './service' },
  { name: 'go-proxy', module: 'examples/go-service', package: './proxy' }
]

/** Removes what an earlier build left: a test must not run with a program that cannot be built. */
function prepare() {
  rmSync(BUILD, { recursive: true, force: true })
  mkdirSync(BUILD, { recursive: true })
}

/** Returns why there is none, or undefined. */
function buildGo() {
  if (which('go') === undefined) return 'there is no go command'
  const scratch = mkdtempSync(join(tmpdir(), 'shmesh-go-'))
  try {
    for (const { name, module, package: path } of GO_PROGRAMS) {
      const directory = join(ROOT, module)
      const flags = replaceFlags(directory, join(scratch, `${name}.mod`))
      const command = ['build', ...flags, '-o', join(BUILD, name), path]
      const { ok, output } = capture('go', command, { cwd: directory })
      if (!ok) return `go build of ${name} failed: ${lastLines(output)}`
    }
    return undefined
  } finally {
    rmSync(scratch, { recursive: true })
  }
}

/** A go.mod of its own beside the committed one, which stays as it is. */
function replaceFlags(directory, modfile) {
  const checkout = process.env.SHMESH_GO_REPLACE
  if (checkout === undefined) return []
  copyFileSync(join(directory, 'go.mod'), modfile)
  copyFileSync(join(directory, 'go.sum'), modfile.replace(/mod$/, 'sum'))
  appendFileSync(modfile, `\nreplace github.com/cloudwego/shmipc-go => ${checkout}\n`)
  // Another version may need other modules.
  return [`-modfile=${modfile}`, '-mod=mod']
}

function lastLines(output) {
  return output.trim().split('\n').slice(-3).join(' | ')
}

prepare()
const start = Date.now()
const reason = buildGo()
console.log(
  `peers in Go: ${reason === undefined ? `built in ${seconds(start)}` : `skipped: ${reason}`}`
)
const wanted = process.argv.slice(2)
if (!wanted.includes('--build')) {
  const tests = wanted.length > 0 ? wanted.map((part) => `interop/${part}`) : ['test/interop/']
  const runner = join(ROOT, 'scripts/test.mjs')
  const { status } = spawnSync(process.execPath, [runner, ...tests], {
    cwd: ROOT,
    stdio: 'inherit'
  })
  process.exit(status ?? 1)
}
