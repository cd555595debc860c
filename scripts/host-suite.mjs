/**
 * Runs the tests of a framework's own checkout as they are, and again with every request through
 * shared memory, and tells what differs:
 *
 *     node scripts/host-suite.mjs fastify DIR [--plugin] [FILE...]
 *     node scripts/host-suite.mjs undici DIR [--served] [FILE...]
 *
 * DIR is a checkout of the framework with its dependencies installed, or of a plugin of Fastify. Files
 * are chosen by parts of their paths; those not named as tests are by whole paths only. Every test
 * that passes by sockets must pass through shared memory, but for those host-suite/*-differences.json
 * name with a reason. docs/internals/server-codec.md, client-codec.md
 */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { fail, filesBelow, seconds } from './tools.mjs'

const USAGE =
  'usage: node scripts/host-suite.mjs fastify|undici DIR [--plugin|--served] [--verbose] [FILE...]'
const FILE_TIMEOUT_MS = 240_000
const TEST_TIMEOUT_MS = 20_000
const PARALLEL = 2

const FASTIFY = {
  files: (path) => /\.test\.m?js$/.test(path),
  preload: 'through-shm.mjs',
  /** As the preload calls them: always, and with the option of that name. */
  mode: 'attach',
  optional: 'plugin',
  /** Tests that fail in this mode, too, are not ours. */
  otherwise: 'socket'
}
const UNDICI = {
  // What needs TLS, HTTP/2, or parts of undici that connect by themselves never meets a ShmAgent.
  files: (path) =>
    /^test\/(?:(?:interceptors|cache-interceptor|node-test|node-test\/diagnostics-channel|fetch|node-fetch|eventsource|websocket|websocket\/stream)\/)?[^/]+\.js$/.test(
      path
    ) &&
    !/http2|h2c|h2-|tls|https|socks5|proxy|mock|snapshot|autoselect|ip-prior|ca-finger|wasm|\/gc\.js|util|timers|fixed-queue|errors\.js|bundle|issue-4880/.test(
      path
    ),
  preload: 'undici.mjs',
  mode: 'relay',
  optional: 'served',
  otherwise: undefined
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    plugin: { type: 'boolean' },
    served: { type: 'boolean' },
    verbose: { type: 'boolean' }
  }
})
const [name, given, ...chosen] = positionals
const suite = { fastify: FASTIFY, undici: UNDICI }[name]
if (suite === undefined || given === undefined) fail(USAGE)
const mode = values[suite.optional] ? suite.optional : suite.mode
const root = resolve(given)
const here = (name) => new URL(`./host-suite/${name}`, import.meta.url)
/** By file and name of the test, `*` for all of a file: why it differs. */
const differences = differencesOf(name, readJson(join(root, 'package.json')).name)

const files = filesBelow(join(root, 'test'))
  .map((path) => relative(root, path))
  .filter((path) => suite.files(path) || chosen.includes(path))
  .filter((path) => chosen.length === 0 || chosen.some((part) => path.includes(part)))
  .sort()
if (files.length === 0) fail(`no tests in ${root}; ${USAGE}`)

const startedAt = Date.now()
const waiting = [...files]
/** `unsayable`: differ as soon as light-my-request is replaced by HTTP, whatever carries it. */
const sums = { tests: 0, same: 0, failing: 0, unsayable: 0, known: 0, different: 0 }
await Promise.all(Array.from({ length: PARALLEL }, work))
console.log(`\n${files.length} files in ${seconds(startedAt)}: ${JSON.stringify(sums)}`)
process.exit(sums.different === 0 ? 0 : 1)

async function work() {
  for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
    const plain = await run(file, undefined)
    const through = await run(file, mode)
    const differing = [...plain].filter(
      ([name, error]) => error === undefined && errorOf(through, name) !== undefined
    )
    const failing = [...plain.values()].filter((error) => error !== undefined).length
    sums.tests += plain.size
    sums.failing += failing
    sums.same += plain.size - failing - differing.length
    if (differing.length > 0) await compare(file, differing, through)
  }
}

async function compare(file, differing, through) {
  const sockets = suite.otherwise === undefined ? new Map() : await run(file, suite.otherwise)
  for (const [name] of differing) {
    const error = errorOf(through, name)
    if (isKnown(file, name)) sums.known++
    else if (suite.otherwise !== undefined && errorOf(sockets, name) !== undefined) {
      sums.unsayable++
      if (values.verbose) console.log(`${file}\n  ${name}\n    not without light-my-request`)
    } else {
      sums.different++
      const shown = values.verbose ? error : error.split('\n').slice(0, 2).join(' ')
      console.log(`${file}\n  ${name}\n    ${shown}`)
    }
  }
}

/** Those of a plugin are under its own name. Of the framework the optional mode has more. */
function differencesOf(framework, tested) {
  const all = readJson(here(`${framework}-differences.json`))
  return tested === framework ? [all[suite.mode], all[mode]] : [all[tested] ?? {}]
}

function isKnown(file, name) {
  return differences.some((reasons) => reasons[file]?.[name] ?? reasons[file]?.['*'])
}

function readJson(path) {
  return JSON.parse(readFileSync(path, 'utf8'))
}

function errorOf(results, name) {
  return results.has(name) ? results.get(name) : 'it did not end'
}

/**
 * The error of each test of a file, undefined for those that passed.
 *
 * @param mode see host-suite/through-shm.mjs and undici.mjs; undefined: the file as it is
 */
function run(file, mode) {
  const args = [
    '--expose-gc',
    '--test-force-exit',
    `--test-timeout=${TEST_TIMEOUT_MS}`,
    `--test-reporter=${fileURLToPath(here('reporter.mjs'))}`
  ]
  if (mode !== undefined) args.push('--import', here(suite.preload).href)
  const child = spawn(process.execPath, [...args, file], {
    cwd: root,
    env: { ...process.env, HOST_SUITE: mode, HOST_SUITE_ROOT: root },
    stdio: ['ignore', 'pipe', values.verbose ? 'inherit' : 'ignore']
  })
  const timer = setTimeout(() => child.kill('SIGKILL'), FILE_TIMEOUT_MS)
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text) => {
    output += text
  })
  return new Promise((resolve) => {
    child.once('close', () => {
      clearTimeout(timer)
      resolve(byName(output.split('\n').flatMap(parse)))
    })
  })
}

/** Some tests have the same name: the second of them is `name #2`. */
function byName(results) {
  const errors = new Map()
  for (const { name, skipped, error } of results) {
    let unique = name
    for (let count = 2; errors.has(unique); count++) unique = `${name} #${count}`
    if (!skipped) errors.set(unique, error)
  }
  return errors
}

/** Tests may print what is no line of ours. */
function parse(line) {
  if (!line.startsWith('{"name":')) return []
  try {
    return [JSON.parse(line)]
  } catch {
    return []
  }
}
