/**
 * Builds the C++ tests with AddressSanitizer + UndefinedBehaviorSanitizer, then with
 * ThreadSanitizer, and runs them. Arguments choose: `asan`, `tsan`; without any, both.
 */
import { spawn } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join, relative } from 'node:path'
import { capture, fail, filesBelow, ROOT, seconds, which } from './tools.mjs'

const CXX = process.env.CXX ?? 'g++'
const SANITIZERS = { asan: 'address,undefined', tsan: 'thread' }
/**
 * -fno-builtin keeps memcpy a call, which the sanitizers check; inlined they would miss races on
 * payload bytes.
 */
const FLAGS = ['-std=c++20', '-O1', '-g', '-pthread', '-fno-builtin', '-fno-omit-frame-pointer']
const INCLUDES = ['-Inative/src', '-Inative/src/core']

const sources = ['native/src/core', 'native/test'].flatMap((directory) =>
  filesBelow(join(ROOT, directory)).filter((path) => path.endsWith('.cc'))
)

function compile(source, object, flags) {
  const child = spawn(CXX, [...flags, ...INCLUDES, '-c', source, '-o', object], {
    cwd: ROOT,
    stdio: 'inherit'
  })
  return new Promise((resolve) => child.once('close', (code) => resolve(code === 0)))
}

/** Compiles everything, as many files at a time as there are processors. */
async function compileAll(directory, flags) {
  const waiting = sources.map((source) => [
    source,
    join(directory, `${relative(ROOT, source).replaceAll('/', '_')}.o`)
  ])
  const objects = waiting.map(([, object]) => object)
  const workers = Array.from({ length: availableParallelism() }, async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [source, object] = next
      if (!(await compile(source, object, flags))) fail(`cannot compile ${relative(ROOT, source)}`)
    }
  })
  await Promise.all(workers)
  return objects
}

function runTests(executable) {
  const env = {
    ...process.env,
    ASAN_OPTIONS: 'detect_leaks=1:abort_on_error=0',
    UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1',
    TSAN_OPTIONS: 'halt_on_error=1:second_deadlock_stack=1'
  }
  const result = capture(executable, [], { env })
  // Kernels with more random address bits than this ThreadSanitizer knows: run without them.
  if (!result.ok && result.output.includes('unexpected memory mapping')) {
    return capture('setarch', ['-R', executable], { env })
  }
  return result
}

async function sanitize(name) {
  const start = Date.now()
  const directory = join(ROOT, `native/build-${name}`)
  mkdirSync(directory, { recursive: true })
  const flags = [...FLAGS, `-fsanitize=${SANITIZERS[name]}`, '-fno-sanitize-recover=all']
  const objects = await compileAll(directory, flags)
  const executable = join(directory, 'shm_test')
  const link = capture(CXX, [...flags, ...objects, '-o', executable])
  if (!link.ok) fail(link.output)
  const { ok, output } = runTests(executable)
  if (!ok) fail(`${output}\nnative tests failed under -fsanitize=${SANITIZERS[name]}`)
  if (output.trim() !== '') console.log(output.trim())
  console.log(`sanitize: clean under ${SANITIZERS[name]} (${seconds(start)})`)
}

if (process.platform !== 'linux') {
  console.log(`sanitize: skipped on ${process.platform}`)
  process.exit(0)
}
if (which(CXX.split(' ')[0]) === undefined) fail(`${CXX} not found; run: apt-get install g++`)
const names = process.argv.slice(2)
for (const name of names.length > 0 ? names : Object.keys(SANITIZERS)) {
  if (SANITIZERS[name] === undefined) fail(`unknown sanitizer ${name}; known are asan, tsan`)
  await sanitize(name)
}
