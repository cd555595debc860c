/**
 * Packs the package and uses it as a stranger would: installed with --ignore-scripts in an empty
 * folder, on a machine without compiler. Removes everything it made.
 */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { capture, fail, filesBelow, mustRun, ROOT, seconds, which } from './tools.mjs'

const FORBIDDEN = [
  [/(^|\/)test\/|\.test\./, 'a test'],
  [/\.map$/, 'a source map without its sources'],
  [/(?<!\.d)\.[mc]?ts$/, 'a TypeScript source'],
  [/^native\/build/, 'a local build'],
  [/^dist\/scripts\//, 'not part of the package']
]
const PROXY_CONFIG = `
version: 1
listeners: [{ name: in, address: "http://127.0.0.1:0", routes: [{ cluster: app }] }]
clusters: [{ name: app, endpoints: [{ address: "http://127.0.0.1:8080" }] }]
`
const PEERS = ['fastify@5', 'undici@7', 'jest@30', '@types/node@24']

const start = Date.now()
const temporary = mkdtempSync(join(realpathSync(tmpdir()), 'shmesh-package-'))
const hadPrebuilds = existsSync(join(ROOT, 'prebuilds'))
process.on('exit', () => {
  rmSync(temporary, { recursive: true, force: true })
  if (!hadPrebuilds) rmSync(join(ROOT, 'prebuilds'), { recursive: true, force: true })
})

/** What npm told the script it runs about this project would lead the inner npm back to it. */
function environment(path) {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^npm_(package|lifecycle)_|^npm_config_(local_)?prefix$|^INIT_CWD$/.test(name)
  )
  return { ...Object.fromEntries(inherited), PATH: path }
}

function pack() {
  mustRun('npm', ['pack', '--pack-destination', temporary], { env: environment(process.env.PATH) })
  const tarball = readdirSync(temporary).find((name) => name.endsWith('.tgz'))
  return join(temporary, tarball)
}

/** A PATH with Node, npm and a shell, and nothing that could build anything. */
function pathWithoutCompiler() {
  const directory = join(temporary, 'bin')
  mkdirSync(directory)
  symlinkSync(process.execPath, join(directory, 'node'))
  for (const command of ['npm', 'npx', 'sh']) {
    symlinkSync(realpathSync(which(command)), join(directory, command))
  }
  return directory
}

function checkFiles(installed) {
  const files = filesBelow(installed).map((path) => relative(installed, path))
  for (const file of files) {
    for (const [pattern, what] of FORBIDDEN) {
      if (pattern.test(file)) fail(`package: ${file} is ${what}`)
    }
    if (!/\.[mc]?js$/.test(file)) continue
    const map = /^\/\/# sourceMappingURL=(.*)$/m.exec(readFileSync(join(installed, file), 'utf8'))
    if (map !== null) fail(`package: ${file} refers to ${map[1]}, which is not packed`)
  }
  return files
}

/** Node can start `script` in the folder where the package is installed. */
function checkScript(folder, env, name, script) {
  const path = join(folder, name)
  writeFileSync(path, script)
  const { ok, output } = capture(process.execPath, [path], { cwd: folder, env })
  if (!ok) fail(`package: ${name} failed\n${output}`)
}

/** What a library in front of this one may export; TypeScript must be able to name its types. */
const INFERRED = `
import { createServer } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { connect, sharedMemory } from 'shmesh'
import { bufferParser } from 'shmesh/fastify'
import { attach, ShmHttpAgent } from 'shmesh/http'
import { ShmAgent, shm } from 'shmesh/undici'
export const ofApp = (app: FastifyInstance) => [app.shm, app.shm.inspect(), app.shm.statistics()]
export const parser = bufferParser()
export const availability = sharedMemory()
export const report = connect('/x').then((session) => session.report())
export const streams = report.then(({ perStream, suspects }) => [perStream[0], suspects[0]] as const)
export const attached = attach(createServer()).then((attachment) => attachment.inspect())
export const links = [new ShmAgent().statistics().links[0], new ShmHttpAgent().statistics().links[0]]
export const interceptor = shm()
`

/**
 * TypeScript's own defaults, under which it also reads what the declarations say of each other, and
 * declarations of what is made of them.
 */
function checkTypes(folder, names) {
  const probe = names.map((name, i) => `export * as entry${i} from '${name}'`).join('\n')
  writeFileSync(join(folder, 'types.mts'), probe + INFERRED)
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc')
  const options = [
    '--declaration',
    '--emitDeclarationOnly',
    '--outDir',
    'types',
    '--strict',
    '--module',
    'nodenext',
    '--target',
    'es2023'
  ]
  const args = [tsc, ...options, '--types', 'node', 'types.mts']
  const { ok, output } = capture(process.execPath, args, { cwd: folder })
  if (!ok) fail(`package: the types have mistakes\n${output}`)
}

const esmScript = (names) => `
import assert from 'node:assert/strict'
for (const name of ${JSON.stringify(names)}) {
  const exports = await import(name, name.endsWith('.json') ? { with: { type: 'json' } } : {})
  assert.ok(Object.keys(exports).length > 0, name + ' exports nothing')
}`

const cjsScript = (names) => `
const assert = require('node:assert/strict')
for (const name of ${JSON.stringify(names)}) {
  const exports = require(name)
  assert.ok(typeof exports === 'function' || Object.keys(exports).length > 0, name)
}`

const jestTest = (socket, prebuild) => `
const { readFileSync } = require('node:fs')
const fastify = require('fastify')
const shmesh = require('shmesh/fastify')
const { ShmAgent } = require('shmesh/undici')
const { request } = require('undici')

test('one request through shared memory', async () => {
  const app = fastify()
  await app.register(shmesh, { path: ${JSON.stringify(socket)} })
  app.post('/echo', async (request) => ({ got: request.body.sent }))
  await app.ready()
  const agent = new ShmAgent(${JSON.stringify(`shm://${socket}`)})
  const response = await request('http://app.internal/echo', {
    dispatcher: agent,
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ sent: 'through Jest' })
  })
  expect(response.statusCode).toBe(200)
  expect(await response.body.json()).toEqual({ got: 'through Jest' })

  const mappings = readFileSync('/proc/self/maps', 'utf8')
  expect(mappings).toContain(${JSON.stringify(prebuild)})
  expect(mappings).toContain('/memfd:')
  await agent.close()
  await app.close()
})`

const tarball = pack()
const folder = join(temporary, 'stranger')
mkdirSync(folder)
const env = environment(pathWithoutCompiler())
mustRun('npm', ['init', '--yes'], { cwd: folder, env })
mustRun(
  'npm',
  ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--prefix', folder, tarball, ...PEERS],
  { cwd: folder, env }
)

const installed = join(folder, 'node_modules/shmesh')
const files = checkFiles(installed)
const manifest = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'))
const names = Object.keys(manifest.exports).map((name) => `shmesh${name.slice(1)}`)
checkScript(folder, env, 'import.mjs', esmScript(names))
checkScript(folder, env, 'require.cjs', cjsScript(names))
checkTypes(
  folder,
  names.filter((name) => !name.endsWith('.json'))
)
for (const command of Object.keys(manifest.bin)) {
  const { ok, output } = capture('npx', [command, '--help'], { cwd: folder, env })
  if (!ok || output === '') fail(`package: ${command} --help failed\n${output}`)
}

writeFileSync(join(folder, 'shmesh.yaml'), PROXY_CONFIG)
const checked = capture('npx', ['shmesh', 'proxy', '--check', '--config', 'shmesh.yaml'], {
  cwd: folder,
  env
})
if (!checked.ok) fail(`package: shmesh proxy --check failed\n${checked.output}`)

if (process.platform === 'linux') {
  const prebuild = files.find((file) => file.startsWith(`prebuilds/linux-${process.arch}`))
  if (prebuild === undefined) fail('package: no prebuilt addon is packed')
  mkdirSync(join(folder, 'run'), { mode: 0o700 })
  const socket = join(folder, 'run/app.sock')
  writeFileSync(join(folder, 'shmesh.test.js'), jestTest(socket, join(installed, prebuild)))
  const { ok, output } = capture('npx', ['jest', '--ci'], { cwd: folder, env, timeout: 120_000 })
  if (!ok) fail(`package: the Jest test failed\n${output}`)
}
console.log(`package: ${files.length} files, ${names.join(', ')} work (${seconds(start)})`)
