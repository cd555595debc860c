/**
 * Builds the addon and the C++ test executable with node-gyp, against the headers beside the
 * running Node; downloads nothing. The addon speaks Node-API, so a later run under another Node
 * needs no new build.
 *
 *     --force     build although everything is up to date
 *     --optional  when it cannot be built, say why and succeed
 */
import {
  existsSync,
  mkdirSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync
} from 'node:fs'
import { dirname, join } from 'node:path'
import { capture, filesBelow, ROOT, seconds, which } from './tools.mjs'

const NATIVE = join(ROOT, 'native')
const RELEASE = join(NATIVE, 'build/Release')
/** Built here, then renamed: whoever loads the addon meanwhile gets the old one or the new one. */
const STAGE = join(NATIVE, 'build/stage')
const NAMES = ['shm.node', 'shm_test']
const OUTPUTS = NAMES.map((name) => join(RELEASE, name))
const NODE_GYP = join(ROOT, 'node_modules/node-gyp/bin/node-gyp.js')
const force = process.argv.includes('--force')
const optional = process.argv.includes('--optional')

function giveUp(reason) {
  const consequence = optional ? '; going on without shared memory' : ''
  console.error(`native: ${reason}${consequence}`)
  process.exit(optional ? 0 : 1)
}

function isUpToDate() {
  const inputs = ['src', 'test'].flatMap((name) => filesBelow(join(NATIVE, name)))
  const newest = Math.max(...[...inputs, join(NATIVE, 'binding.gyp')].map(modified))
  return OUTPUTS.every((path) => existsSync(path) && modified(path) > newest)
}

function modified(path) {
  return statSync(path).mtimeMs
}

/** The Debian packages of the commands that are missing. */
function missingPackages() {
  const compiler = (process.env.CXX ?? 'g++').split(' ')[0]
  const packages = { [compiler]: 'g++', make: 'make', python3: 'python3' }
  return Object.entries(packages).filter(([command]) => which(command) === undefined)
}

/**
 * node-gyp lets npm_config_* from the environment win over its own arguments: a `nodedir` or
 * `target` in somebody's .npmrc would choose other headers.
 */
function environmentWithoutNpm() {
  const entries = Object.entries(process.env)
  return Object.fromEntries(entries.filter(([name]) => !/^npm_(package_)?config_/i.test(name)))
}

if (process.platform !== 'linux') {
  console.log(`native: skipped, ${process.platform} has no shared-memory transport yet`)
  process.exit(0)
}
if (!force && isUpToDate()) process.exit(0)

const missing = missingPackages()
if (missing.length > 0) {
  const commands = missing.map(([command]) => command).join(', ')
  const names = missing.map(([, name]) => name).join(' ')
  giveUp(`${commands} not found; on Debian or Ubuntu run: apt-get install ${names}`)
}
if (!existsSync(NODE_GYP)) giveUp('node-gyp is not installed; run: npm ci')

const prefix = dirname(dirname(realpathSync(process.execPath)))
if (!existsSync(join(prefix, 'include/node/node_api.h'))) {
  giveUp(
    `no Node.js headers in ${join(prefix, 'include/node')}; with Debian's own nodejs run: ` +
      'apt-get install libnode-dev; otherwise install Node.js from nodejs.org or NodeSource'
  )
}

const start = Date.now()
rmSync(STAGE, { recursive: true, force: true })
mkdirSync(STAGE, { recursive: true })
for (const name of ['binding.gyp', 'src', 'test'])
  symlinkSync(join(NATIVE, name), join(STAGE, name))
const { ok, output } = capture(
  process.execPath,
  [NODE_GYP, 'rebuild', '-C', STAGE, `--nodedir=${prefix}`, '--jobs=max'],
  { env: environmentWithoutNpm() }
)
if (!ok) {
  console.error(output)
  giveUp('the build failed, see above')
}
mkdirSync(RELEASE, { recursive: true })
for (const name of NAMES) renameSync(join(STAGE, 'build/Release', name), join(RELEASE, name))
rmSync(STAGE, { recursive: true })
for (const line of output.split('\n')) {
  if (line.includes('warning:')) console.error(line)
}
console.log(`native: built in ${seconds(start)}`)
