/**
 * Builds the C++ tests with AddressSanitizer + UndefinedBehaviorSanitizer, then with
 * ThreadSanitizer, and runs them. Arguments choose: `asan`, `tsan`; without any, both.
 */
import { join } from 'node:path'
import {
  compileAll,
  link,
  needCompiler,
  runSanitized,
  SANITIZERS,
  sanitizerFlags,
  testSources
} from './compiler.mjs'
import { fail, ROOT, seconds } from './tools.mjs'

async function sanitize(name) {
  const start = Date.now()
  const directory = join(ROOT, `native/build-${name}`)
  const flags = sanitizerFlags(name)
  const objects = await compileAll(testSources(), directory, flags)
  const executable = join(directory, 'shm_test')
  link([...objects.values()], executable, flags)
  const { ok, output } = runSanitized(executable)
  if (!ok) fail(`${output}\nnative tests failed under -fsanitize=${SANITIZERS[name]}`)
  if (output.trim() !== '') console.log(output.trim())
  console.log(`sanitize: clean under ${SANITIZERS[name]} (${seconds(start)})`)
}

if (process.platform !== 'linux') {
  console.log(`sanitize: skipped on ${process.platform}`)
  process.exit(0)
}
needCompiler()
const names = process.argv.slice(2)
for (const name of names.length > 0 ? names : Object.keys(SANITIZERS)) {
  if (SANITIZERS[name] === undefined) fail(`unknown sanitizer ${name}; known are asan, tsan`)
  await sanitize(name)
}
