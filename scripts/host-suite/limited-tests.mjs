/**
 * Gives every test of a test file a limit of its own, so that one that never ends does not take those
 * behind it along. `--test-timeout` does that by itself only from Node.js 24 on.
 */
import Module from 'node:module'

const TEST_TIMEOUT_MS = 10_000
const TESTS = new Set(['test', 'it', 'default'])

const load = Module._load
let limited
Module._load = function (name, ...rest) {
  const loaded = load.call(this, name, ...rest)
  if (name !== 'node:test' && name !== 'test') return loaded
  limited ??= limit(loaded)
  return limited
}

function limit(tests) {
  return new Proxy(tests, {
    apply: (target, self, args) => Reflect.apply(target, self, withTimeout(args)),
    get: (target, name) => (TESTS.has(name) ? limit(target[name]) : target[name])
  })
}

/** `args` are those of `test([name][, options][, fn])`. */
function withTimeout(args) {
  const at = args.findIndex((arg) => typeof arg === 'object' && arg !== null)
  if (at !== -1) return args.with(at, { timeout: TEST_TIMEOUT_MS, ...args[at] })
  const body = args.findIndex((arg) => typeof arg === 'function')
  return args.toSpliced(body === -1 ? args.length : body, 0, { timeout: TEST_TIMEOUT_MS })
}
