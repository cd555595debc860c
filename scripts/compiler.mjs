/** Compiles C++ outside of node-gyp, for the checks that need other flags or changed sources. */
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, statSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { capture, fail, filesBelow, ROOT, which } from './tools.mjs'

/** `CXX` may hold a launcher and the compiler, such as `ccache g++`. */
const [CXX, ...BEFORE] = (process.env.CXX ?? 'g++').split(' ')
const INCLUDES = ['-Inative/src', '-Inative/src/core']
export const SANITIZERS = { asan: 'address,undefined', tsan: 'thread' }

/** Says what to install, and ends the script, when there is no compiler. */
export function needCompiler() {
  if (which(CXX) === undefined) fail(`${CXX} not found; run: apt-get install g++`)
}

/**
 * -fno-builtin keeps memcpy a call, which the sanitizers check; inlined they would miss races on
 * payload bytes.
 */
export function sanitizerFlags(name) {
  return [
    ...['-std=c++20', '-O1', '-g', '-pthread', '-fno-builtin', '-fno-omit-frame-pointer'],
    ...[`-fsanitize=${SANITIZERS[name]}`, '-fno-sanitize-recover=all']
  ]
}

/** Ends with the compiler's output when that fails. */
export async function compile(source, object, flags, includes = []) {
  const args = [...BEFORE, ...flags, ...includes.map((path) => `-I${path}`), ...INCLUDES]
  const child = spawn(CXX, [...args, '-c', source, '-o', object], { cwd: ROOT, stdio: 'inherit' })
  const code = await new Promise((resolve) => child.once('close', resolve))
  if (code !== 0) fail(`cannot compile ${relative(ROOT, source)}`)
}

/** Runs `work` on each item, on as many at a time as there are processors. */
export async function forEachInParallel(items, work) {
  const waiting = [...items]
  const workers = Array.from({ length: availableParallelism() }, async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) await work(next)
  })
  await Promise.all(workers)
}

/**
 * Compiles `sources` into `directory`; objects newer than every source of native/ are kept.
 * Returns the object of each source.
 */
export async function compileAll(sources, directory, flags, includes) {
  mkdirSync(directory, { recursive: true })
  const native = ['src', 'test', 'explore'].flatMap((name) =>
    filesBelow(join(ROOT, 'native', name))
  )
  const newest = Math.max(...[...native, ...sources].map((path) => statSync(path).mtimeMs))
  const objects = new Map(
    sources.map((source) => [
      source,
      join(directory, `${relative(ROOT, source).replaceAll('/', '_')}.o`)
    ])
  )
  await forEachInParallel(objects, async ([source, object]) => {
    if (existsSync(object) && statSync(object).mtimeMs > newest) return
    await compile(source, object, flags, includes)
  })
  return objects
}

/** Ends with the linker's output when that fails. */
export function link(objects, executable, flags) {
  mkdirSync(dirname(executable), { recursive: true })
  const { ok, output } = capture(CXX, [...BEFORE, ...flags, ...objects, '-o', executable])
  if (!ok) fail(output)
}

/** The core and its tests. */
export function testSources() {
  return ['native/src/core', 'native/test'].flatMap((directory) =>
    filesBelow(join(ROOT, directory)).filter((path) => path.endsWith('.cc'))
  )
}

const ENVIRONMENT = {
  ASAN_OPTIONS: 'detect_leaks=1:abort_on_error=0',
  UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1',
  TSAN_OPTIONS: 'halt_on_error=1:second_deadlock_stack=1'
}

/** Runs an executable built with a sanitizer. */
export function runSanitized(executable, args = []) {
  const options = { env: { ...process.env, ...ENVIRONMENT } }
  const result = capture(executable, args, options)
  // Kernels with more random address bits than this ThreadSanitizer knows: run without them.
  if (!result.ok && result.output.includes('unexpected memory mapping')) {
    return capture('setarch', ['-R', executable, ...args], options)
  }
  return result
}
