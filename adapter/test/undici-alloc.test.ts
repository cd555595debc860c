/** Request bodies made where the server reads them. */
import assert from 'node:assert/strict'
import { mkdirSync, rmdirSync, watch } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Agent, type Dispatcher, interceptors } from 'undici'
import { ShmAgent } from '../undici/index.ts'
import { startApp } from './app.ts'
import { agentFor, startScripted, transcribe } from './scripted.ts'
import { eventually } from './support/eventually.ts'
import { pattern, sha256 } from './support/pattern.ts'
import { type Scene, scene } from './support/scene.ts'

const ORIGIN = 'http://app.test'
const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'
const SCRIPT = {
  '/': { parts: [OK] },
  '/held': { parts: ['', OK] },
  '/early': { parts: [OK], early: true },
  '/dies': { finally: 'destroy' }
} as const
const BODY = pattern(300_000)

// A process has one descriptor for all its watches, from the first of them on.
watch(tmpdir()).close()

const collectGarbage = (() => {
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc') as () => void
})()

function post(path: string, body: Buffer, more: object = {}): Dispatcher.DispatchOptions {
  return { origin: ORIGIN, path, method: 'POST', body, ...more } as never
}

function filled(agent: ShmAgent, bytes = BODY, origin = ORIGIN): Buffer {
  const buffer = agent.allocUnsafe(bytes.length, { origin })
  bytes.copy(buffer)
  return buffer
}

/** Slices this end has taken so far, and those it holds. */
function slices(agent: ShmAgent, link = 0): { taken: number; held: number } {
  const lists = agent.statistics().links[link]?.session?.lists ?? []
  const sum = (of: (list: (typeof lists)[number]) => number) =>
    lists.reduce((total, list) => total + of(list), 0)
  return { taken: sum(({ allocated }) => allocated), held: sum(({ held }) => held) }
}

/** An agent with a session, and nothing of ours in it at the end. */
async function setUp(t: TestContext, script: Parameters<typeof startScripted>[1] = SCRIPT) {
  const s = await scene(t)
  const { server, tcp } = await startScripted(s, script)
  const agent = agentFor(s)
  s.defer(() =>
    eventually('every slice is free', () => slices(agent).held === 0 || agent.destroyed)
  )
  await transcribe(agent, { origin: ORIGIN, path: '/', method: 'GET' })
  await server.call('seen')
  return { s, server, tcp, agent }
}

test('a body of alloc takes no memory but its own, and arrives as it was filled', async (t) => {
  const { agent, server } = await setUp(t)
  for (const bytes of [16 * 1024, 300_000, 1024 * 1024]) {
    const content = pattern(bytes)
    const body = agent.alloc(bytes, { origin: new URL(ORIGIN) })
    assert.ok(
      body.every((byte) => byte === 0),
      'no byte of an earlier message'
    )
    content.copy(body)
    const before = slices(agent)
    assert.equal(before.held, 1)
    const { events } = await transcribe(agent, post('/', body))

    assert.equal(events.at(-1), 'end {}')
    const [seen] = await server.call('seen')
    assert.equal(seen?.sha256, sha256(content))
    // The head's.
    assert.equal(slices(agent).taken - before.taken, 1)
    assert.equal(body.length, 0, 'who sent it does not see what becomes of it')
  }
})

test('the part that was filled may be sent alone', async (t) => {
  const { agent, server } = await setUp(t)
  const before = slices(agent)
  await transcribe(agent, post('/', filled(agent).subarray(0, 100_000)))
  assert.equal((await server.call('seen'))[0]?.sha256, sha256(BODY.subarray(0, 100_000)))
  assert.equal(slices(agent).taken - before.taken, 2)
})

test('it is ordinary memory where that serves better', async (t) => {
  const { s, tcp, agent, server } = await setUp(t)
  const fresh = new ShmAgent({ routes: { 'app.test': s.path }, fallback: new Agent() })
  s.defer(() => fresh.destroy())
  const cases: readonly (readonly [what: string, ShmAgent, number, string])[] = [
    ['nothing', agent, 0, ORIGIN],
    ['small', agent, 16 * 1024 - 1, ORIGIN],
    ['larger than any slice', agent, 20_000_000, ORIGIN],
    ['before the first request', fresh, 300_000, ORIGIN],
    ['without a route', fresh, 300_000, tcp],
    ['https', agent, 300_000, 'https://app.test']
  ]
  for (const [what, from, bytes, origin] of cases) {
    const content = pattern(bytes)
    const body = from.alloc(bytes, { origin })
    assert.equal(body.length, bytes, what)
    assert.equal(slices(agent).held, 0, what)
    content.copy(body)
    from.release(body)
    assert.equal(body.length, bytes, 'it is not ours to take away')
    if (origin.startsWith('https:')) continue
    await transcribe(from, post('/', body, { origin }))
    assert.equal((await server.call('seen'))[0]?.sha256, sha256(content), what)
  }
})

test('what is no length, or no origin, is refused', async (t) => {
  const { agent } = await setUp(t)
  for (const bytes of [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, '1' as never]) {
    assert.throws(() => agent.alloc(bytes, { origin: ORIGIN }), { code: 'SHM_ERR_INVALID_ARG' })
    assert.throws(() => agent.allocUnsafe(bytes, { origin: ORIGIN }), /bytes must be a whole/)
  }
  for (const origin of ['', 'app.test', 'ftp://app.test', undefined as never]) {
    assert.throws(() => agent.alloc(100, { origin }), { code: 'UND_ERR_INVALID_ARG' })
  }
})

test('what is not sent goes back: by release, and by the collector', async (t) => {
  const { agent } = await setUp(t)
  const body = filled(agent)
  assert.equal(slices(agent).held, 1)
  agent.release(body)
  agent.release(body)
  assert.equal(slices(agent).held, 0)
  assert.equal(body.length, 0)

  ;(() => filled(agent))()
  assert.equal(slices(agent).held, 1)
  await eventually('it is collected', () => {
    collectGarbage()
    return slices(agent).held === 0
  })
})

test('sent to another server it is copied, and its memory goes back', async (t) => {
  const { s, agent, server, tcp } = await setUp(t)
  const other = new ShmAgent(s.path)
  s.defer(() => other.destroy())
  await transcribe(other, post('/', filled(agent)))
  assert.equal((await server.call('seen'))[0]?.sha256, sha256(BODY))
  await eventually('it went back', () => slices(agent).held === 0)

  // By TCP nobody knows what it is: it stays the sender's.
  const direct = new Agent()
  s.defer(() => direct.destroy())
  const body = filled(agent)
  await transcribe(direct, post('/', body, { origin: tcp }))
  assert.equal((await server.call('seen'))[0]?.sha256, sha256(BODY))
  assert.equal(sha256(body), sha256(BODY))
  agent.release(body)
})

test('sent twice, it is refused the second time', async (t) => {
  const { agent, server } = await setUp(t)
  const body = filled(agent)
  const second = { code: 'UND_ERR_INVALID_ARG', message: /alloc\(\) that was sent/ }
  const send = () => agent.request(post('/', body) as Dispatcher.RequestOptions)
  const [, refused] = await Promise.allSettled([send(), send()])
  assert.equal(refused.status, 'rejected')
  assert.equal((refused.reason as Error & { code: string }).code, second.code)
  await assert.rejects(send(), second)
  assert.deepEqual(
    (await server.call('seen')).map((seen) => seen.sha256),
    [sha256(BODY)]
  )
})

test('what another request sends while it waits for a connection is missed in time', async (t) => {
  const s = await scene(t)
  const { server } = await startScripted(s, SCRIPT)
  const agent = new ShmAgent({ uri: s.path, connections: 1 })
  s.defer(() => agent.destroy())
  await transcribe(agent, { origin: ORIGIN, path: '/', method: 'GET' })
  const first = transcribe(agent, { origin: ORIGIN, path: '/held', method: 'GET' })
  await server.call('heads', 2)
  const body = filled(agent)
  const waiting = [transcribe(agent, post('/', body)), transcribe(agent, post('/', body))]
  await server.call('next')
  const [sent, late] = await Promise.all(waiting)

  assert.equal((await first).events.at(-1), 'end {}')
  assert.equal(sent!.events.at(-1), 'end {}')
  assert.equal(late!.events.at(-1), 'error UND_ERR_INVALID_ARG')
  assert.deepEqual(
    (await server.call('seen')).map(({ bytes }) => bytes),
    [0, 0, BODY.length]
  )
})

test('aborted before it was sent, it is as it was', async (t) => {
  const { s, server } = await setUp(t)
  const agent = new ShmAgent({ uri: s.path, connections: 1 })
  s.defer(() => agent.destroy())
  await transcribe(agent, { origin: ORIGIN, path: '/', method: 'GET' })
  const first = transcribe(agent, { origin: ORIGIN, path: '/held', method: 'GET' })
  await server.call('heads', 3)
  const body = filled(agent)
  const aborting = new AbortController()
  const signal = { signal: aborting.signal }
  const waiting = agent.request(post('/', body, signal) as Dispatcher.RequestOptions)
  aborting.abort()
  await assert.rejects(waiting, { name: 'AbortError' })
  assert.equal(sha256(body), sha256(BODY))
  await server.call('next')
  await first
  await server.call('seen')

  await transcribe(agent, post('/', body))
  assert.equal((await server.call('seen'))[0]?.sha256, sha256(BODY))
})

test('aborted while it waits for the server to read, it goes back', async (t) => {
  const { agent } = await setUp(t)
  const aborting = new AbortController()
  const bodies = [1, 2, 3].map(() => filled(agent, pattern(1024 * 1024)))
  // More than a server may leave unread: the last is not all sent.
  const requests = bodies.map((body) =>
    agent.request(post('/early', body, { signal: aborting.signal }) as Dispatcher.RequestOptions)
  )
  const answers = await Promise.all(requests)
  aborting.abort()
  for (const { body } of answers) await assert.rejects(body.text(), { name: 'AbortError' })
  await eventually('all went back', () => slices(agent).held === 0)
  for (const body of bodies) assert.equal(body.length, 0)
})

test('a retry does not send what is gone, and says so', async (t) => {
  const { agent } = await setUp(t)
  const retrying = agent.compose(interceptors.retry({ minTimeout: 1, maxRetries: 2 }))
  const body = filled(agent)
  const options = { origin: ORIGIN, path: '/dies', method: 'PUT', body } as const
  await assert.rejects(retrying.request(options), {
    code: 'UND_ERR_INVALID_ARG',
    message: /give a Buffer of your own when it must be sent again/
  })
})

test('sent on a reused connection that breaks, it is not sent again', async (t) => {
  const { agent, server } = await setUp(t)
  const { events } = await transcribe(agent, post('/dies', filled(agent), { idempotent: true }))
  assert.deepEqual(events, ['start', 'error UND_ERR_SOCKET'])
  assert.equal((await server.call('seen')).length, 1)
})

test('of several servers, the one gets it in whose memory it lies', async (t) => {
  const { s, agent, start } = await setUpDirectory(t)
  await start()
  await start()
  const stocked = () => agent.statistics().links.map((_, link) => slices(agent, link))
  const warm = () => Promise.all([1, 2, 3, 4].map(() => transcribe(agent, post('/echo', BODY))))
  await warm()
  assert.equal(stocked().length, 2)
  for (let i = 0; i < 6; i++) {
    const headers = { 'content-type': 'application/octet-stream' }
    const body = filled(agent)
    const before = stocked()
    assert.equal(
      before.reduce((sum, { held }) => sum + held, 0),
      1
    )
    const { body: echoed } = await transcribe(agent, post('/echo', body, { headers }))
    assert.equal(echoed, sha256(BODY))
    const taken = stocked().map((now, link) => now.taken - before[link]!.taken)
    assert.deepEqual(taken.sort(), [0, 1])
  }
  s.defer(() => agent.destroy())
})

async function setUpDirectory(t: TestContext) {
  const s: Scene = await scene(t)
  const directory = join(s.directory, 'apps')
  mkdirSync(directory, { mode: 0o700 })
  s.defer(() => rmdirSync(directory))
  const start = () => startApp(s, { plugin: { path: `${directory}/` } })
  return { s, start, agent: new ShmAgent({ uri: `shm://${directory}/`, memory: '16MiB' }) }
}
