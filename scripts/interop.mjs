/**
 * Builds the programs in Go and Rust that the interop tests speak with, where a compiler and what
 * they need can be had, and runs those tests. Arguments choose among them, as with test:node.
 *
 * `SHMESH_GO_REPLACE=DIR` builds with a checkout of shmipc-go instead of the released module.
 * `CARGO_TARGET_DIR` is where cargo keeps what it has compiled; by default below the directory for
 * temporary files. `--build` only builds.
 */
import { spawnSync } from 'node:child_process'
import { appendFileSync, copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { capture, ROOT, seconds, which } from './tools.mjs'

const BUILD = join(ROOT, 'adapter/test/interop/build')
const RUST_PEER = join(ROOT, 'adapter/test/interop/rust')
const GO_PROGRAMS = [
  { name: 'go-peer', module: 'adapter/test/interop/go', package: '.' },
  { name: 'go-service', module: 'examples/go-service', package: './service' },
  { name: 'go-proxy', module: 'examples/go-service', package: './proxy' },
  { name: 'go-hello-client', module: 'examples/go-service', package: './hello-client' },
  { name: 'go-hello-server', module: 'examples/go-service', package: './hello-server' }
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

/** Returns why there is none, or undefined. */
function buildRust() {
  if (which('cargo') === undefined) return 'there is no cargo command'
  const target = process.env.CARGO_TARGET_DIR ?? join(tmpdir(), `shmesh-cargo-${userInfo().uid}`)
  const { ok, output } = capture('cargo', ['build', '--locked'], {
    cwd: RUST_PEER,
    env: { ...process.env, CARGO_TARGET_DIR: target }
  })
  if (!ok) return `cargo build failed: ${lastLines(output)}`
  copyFileSync(join(target, 'debug/rust-peer'), join(BUILD, 'rust-peer'))
  return undefined
}

function report(language, build) {
  const start = Date.now()
  const reason = build()
  const built = reason === undefined ? `built in ${seconds(start)}` : `skipped: ${reason}`
  console.log(`peers in ${language}: ${built}`)
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
report('Go', buildGo)
report('Rust', buildRust)
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
