/**
 * Who allocates how much for each request of a hello world, in the app and in the proxy:
 *
 *     npm run build && node scripts/allocations.mjs [REQUESTS]
 *
 * Both run in processes of their own under V8's sampling heap profiler, which counts what was
 * collected as well. The tables of docs/internals/allocations.md.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { Session } from 'node:inspector/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import autocannon from 'autocannon'
import Fastify from 'fastify'
import { pino } from 'pino'

const ROWS = 24
/** A sample every so many bytes on average: small, for most objects here are. */
const SAMPLING_BYTES = 512
const PLACES = new Map([
  ['node:', 'node'],
  ['node_modules/fastify', 'fastify'],
  ['node_modules/', 'library'],
  ['dist/', 'shmesh']
])

const [role, path] = process.argv.slice(2)
const roles = { app: serveApp, proxy: serveProxy }
if (roles[role] === undefined) await measure(Number(role ?? 20_000))
else {
  const address = await roles[role](path)
  const session = new Session()
  session.connect()
  process.on('message', async (message) => {
    if (message === 'start') {
      await session.post('HeapProfiler.startSampling', {
        samplingInterval: SAMPLING_BYTES,
        includeObjectsCollectedByMajorGC: true,
        includeObjectsCollectedByMinorGC: true
      })
    }
    const stopped = message === 'stop' && (await session.post('HeapProfiler.stopSampling'))
    process.send(stopped ? sitesOf(stopped.profile.head) : message)
  })
  process.send(address)
}

async function serveApp(socket) {
  const { default: shmesh } = await import('../dist/adapter/fastify/index.js')
  const app = Fastify()
  app.get('/', async () => ({ hello: 'world' }))
  await app.register(shmesh, { path: socket })
  await app.ready()
  return app.shm.address
}

async function serveProxy(socket) {
  const { createProxy, resolveConfig } = await import('../dist/proxy/index.js')
  const config = {
    version: 1,
    listeners: [{ name: 'inbound', address: 'http://127.0.0.1:0', routes: [{ cluster: 'app' }] }],
    clusters: [{ name: 'app', endpoints: [{ address: `shm://${socket}` }] }]
  }
  const log = pino({ level: 'silent' })
  const proxy = await createProxy(
    resolveConfig(config, () => 'allocations'),
    { log, accessLog: log }
  )
  return proxy.addresses[0].address
}

async function measure(requests) {
  const directory = mkdtempSync(join(tmpdir(), 'shmesh-allocations-'))
  const socket = join(directory, 'app.sock')
  const children = []
  try {
    const [app] = await start('app', socket, children)
    const [proxy, url] = await start('proxy', socket, children)
    // Until V8 has compiled what is hot: interpreted code allocates more.
    await load(url, requests)
    for (const child of [app, proxy]) await ask(child, 'start')
    const answered = await load(url, requests)
    for (const [name, child] of Object.entries({ app, proxy })) {
      print(name, await ask(child, 'stop'), answered)
    }
  } finally {
    for (const child of children) child.kill()
    await Promise.all(children.map((child) => child.exitCode ?? once(child, 'exit')))
    rmSync(directory, { recursive: true, force: true })
  }
}

async function start(name, socket, children) {
  const child = fork(fileURLToPath(import.meta.url), [name, socket])
  children.push(child)
  const [address] = await once(child, 'message')
  return [child, address]
}

async function ask(child, message) {
  child.send(message)
  return (await once(child, 'message'))[0]
}

async function load(url, amount) {
  const { errors, non2xx, ...result } = await autocannon({ url, connections: 16, amount })
  if (errors + non2xx > 0) throw new Error(`${errors} errors, ${non2xx} bad answers`)
  return result['2xx']
}

/** Bytes by function and file, however it was called. */
function sitesOf(head) {
  const sites = {}
  const walk = ({ callFrame, selfSize, children }) => {
    const { functionName, url } = callFrame
    const place = [...PLACES].find(([part]) => url.includes(part))?.[1] ?? 'V8'
    const site = `${place} | \`${functionName || '(anonymous)'}\` | ${basename(url)}`
    sites[site] = (sites[site] ?? 0) + selfSize
    for (const child of children) walk(child)
  }
  walk(head)
  return sites
}

function print(name, sites, requests) {
  const rows = Object.entries(sites)
    .map(([site, bytes]) => [site, Math.round(bytes / requests)])
    .sort(([, a], [, b]) => b - a)
  const sum = rows.reduce((total, [, bytes]) => total + bytes, 0)
  console.log(`\n${name}: ${sum} bytes per request\n`)
  console.log('| whose | function | file | bytes |\n| --- | --- | --- | ---: |')
  for (const [site, bytes] of rows.slice(0, ROWS))
    if (bytes > 0) console.log(`| ${site} | ${bytes} |`)
}
