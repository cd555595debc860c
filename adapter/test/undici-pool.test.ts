/** Connections: kept, capped, shared fairly, and replaced when they break. */
import assert from 'node:assert/strict'
import type { EventEmitter } from 'node:events'
import { type TestContext, test } from 'node:test'
import { type Dispatcher, Pool } from 'undici'
import { ShmAgent, type ShmAgentOptions } from '../undici/index.ts'
import { type Scripted, startScripted, transcribe } from './scripted.ts'
import { eventually } from './support/eventually.ts'
import { scene } from './support/scene.ts'

const ORIGIN = 'http://app.test'
const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'
const SCRIPT = {
  '/': { parts: [OK] },
  '/held': { parts: ['', OK] },
  '/once': { parts: [OK], once: true, finally: 'destroy' },
  '/once-then-end': { parts: [OK], once: true, finally: 'end' },
  '/close': { parts: ['HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok'] },
  '/more': { parts: [`${OK}HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nbad`] },
  '/late': { parts: [OK, 'HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nbad'] },
  '/brief': {
    parts: ['HTTP/1.1 200 OK\r\nkeep-alive: timeout=1\r\ncontent-length: 2\r\n\r\nok']
  }
} as const

async function setUp(t: TestContext, options: ShmAgentOptions = {}) {
  const s = await scene(t)
  const { server, tcp } = await startScripted(s, SCRIPT)
  const agent = new ShmAgent({ uri: s.path, ...options })
  s.defer(() => agent.destroy())
  const send = (path: string, more: object = {}) =>
    transcribe(agent, { origin: ORIGIN, path, method: 'GET', ...more })
  /** The connections that served since the last call. */
  const used = async () => (await server.call('seen')).map(({ connection }) => connection)
  return { server, tcp, path: s.path, agent, send, used }
}

test('connections are kept, and the freshest is used first', async (t) => {
  const { server, send, used } = await setUp(t)
  await send('/')
  await send('/')
  assert.deepEqual(await used(), [1, 1])
  const held = [send('/held'), send('/held'), send('/held')]
  await server.call('heads', 5)
  await server.call('next')
  await Promise.all(held)
  assert.equal(new Set(await used()).size, 3)
  await send('/')
  assert.equal((await used()).length, 1)
  assert.equal(await server.call('connections'), 3)
})

test('a cap is kept, and whoever waits is served in order', async (t) => {
  const { server, agent, path, send } = await setUp(t, { connections: 2 })
  const order: number[] = []
  const held = [send('/held'), send('/held')]
  await server.call('heads', 2)
  const more = Array.from({ length: 10 }, async (_, i) => {
    await send(`/?${i}`)
    order.push(i)
  })
  assert.deepEqual(agent.statistics().origins, [
    { origin: ORIGIN, path, connections: 2, queued: 10 }
  ])
  await server.call('next')
  await Promise.all([...held, ...more])
  assert.deepEqual(order, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  assert.equal(await server.call('connections'), 2)
  const targets = (await server.call('seen')).slice(2).map(({ target }) => target)
  assert.deepEqual([...targets].sort(), targets)
})

test('dispatch returns false, and drain follows, when they do for a Pool of undici', async (t) => {
  const { server, tcp, path } = await setUp(t)
  const pooled = (connections: number) => new Pool(tcp, { connections })
  const shared = (connections: number) => new ShmAgent({ uri: path, connections })
  let headsBefore = 0
  for (const connections of [1, 2, 3]) {
    for (const make of [pooled, shared]) {
      const requests = connections + 1
      const dispatcher = make(connections)
      const seen = await pressureOn(dispatcher, server, requests, headsBefore)
      const free = Array<boolean>(connections - 1).fill(true)
      assert.deepEqual(seen.returned, [...free, false, false])
      assert.ok(requests - seen.ended < connections, 'one more can be sent at once')
      assert.equal(seen.targets[0], dispatcher)
      await dispatcher.close()
      headsBefore += requests
    }
  }
})

/** Of so many held requests: what dispatch returned, and how many had ended at the first drain. */
async function pressureOn(
  dispatcher: Dispatcher,
  server: Scripted['server'],
  requests: number,
  headsBefore: number
) {
  let ended = 0
  const emitter: EventEmitter = dispatcher
  const drained = new Promise<{ ended: number; targets: unknown[] }>((resolve) => {
    emitter.once('drain', (_origin, targets) => resolve({ ended, targets }))
  })
  const returned = Array.from({ length: requests }, () =>
    dispatcher.dispatch({ origin: ORIGIN, path: '/held', method: 'GET' }, {
      onRequestStart() {},
      onResponseEnd: () => ended++
    } as never)
  )
  // The last is read when one before it has been answered.
  for (const heads of [requests - 1, requests]) {
    await server.call('heads', headsBefore + heads)
    await server.call('next')
  }
  return { returned, ...(await drained) }
}

test('a connection the server closed while it was idle is not used', async (t) => {
  const { server, agent, send, used } = await setUp(t)
  for (const path of ['/once', '/once-then-end']) {
    await send(path)
    // Its second request there would meet the end.
    const { events } = await send('/', { headers: { connection: 'close' } })
    assert.equal(events.at(-1), 'end {}')
  }
  await used()
  await send('/close')
  await send('/')
  const [first, second] = await used()
  assert.notEqual(first, second)
  assert.equal(agent.statistics().origins[0]?.connections, 1)
  assert.equal(await server.call('connections'), 1)
})

test('what is idempotent is sent again when a reused connection breaks; a POST is not', async (t) => {
  const { send, used } = await setUp(t)
  for (const path of ['/once', '/once-then-end']) {
    // The first leaves a connection that breaks under the next.
    await send(path)
    const again = await send(path)
    assert.equal(again.events.at(-1), 'end {}', path)
    const [first, second, third] = await used()
    assert.equal(first, second, 'it met the reused connection')
    assert.notEqual(second, third)

    const post = await send(path, { method: 'POST', body: 'x' })
    const executed = await used()
    assert.equal(
      post.events.at(-1),
      'error UND_ERR_SOCKET',
      `${path} ${[first, second, third, 'post', executed]}`
    )
    assert.deepEqual(executed, [third], 'the POST was executed once')

    await send(path)
    const put = await send(path, { method: 'PUT', body: 'x', idempotent: true })
    assert.equal(put.events.at(-1), 'end {}')
    await send('/', { reset: true })
    await used()
  }
})

test('bytes behind a response never answer the next request', async (t) => {
  const { server, send, used } = await setUp(t, { keepAliveTimeout: 60_000 })
  for (const path of ['/more', '/late']) {
    assert.equal((await send(path)).body, 'ok')
    await server.call('next')
    await eventually('the connection is closed', async () => {
      return (await server.call('connections')) === 0
    })
    assert.equal((await send('/', { reset: true })).body, 'ok')
    const [first, second] = await used()
    assert.notEqual(first, second)
  }
})

test('idle connections end before the server ends them', async (t) => {
  const { server, send } = await setUp(t, { keepAliveTimeout: 1 })
  for (const path of ['/', '/brief']) {
    await send(path)
    await eventually('the connection is closed', async () => {
      return (await server.call('connections')) === 0
    })
  }
})

test('a server that comes later is found, each request fails by itself until then', async (t) => {
  const s = await scene(t)
  const agent = new ShmAgent({ uri: s.path, connections: 2 })
  const failures: unknown[] = []
  const emitter: EventEmitter = agent
  emitter.on('connectionError', (_origin, targets, error) =>
    failures.push(targets[0] === agent, error.code)
  )
  const send = () => transcribe(agent, { origin: ORIGIN, path: '/', method: 'POST', body: 'x' })
  const refused = await Promise.all([send(), send(), send(), send()])
  for (const { events } of refused) assert.deepEqual(events, ['start', 'error UND_ERR_SOCKET'])
  assert.deepEqual([...new Set(failures)], [true, 'UND_ERR_SOCKET'])
  await startScripted(s, SCRIPT)
  // Before the server is closed: it waits for its sessions.
  s.defer(() => agent.destroy())
  assert.equal((await send()).events.at(-1), 'end {}')
})

for (const abrupt of [false, true]) {
  test(abrupt ? 'destroy fails what is queued' : 'close waits for what is queued', async (t) => {
    const { server, agent, send } = await setUp(t, { connections: 1 })
    const all = [send('/held'), send('/')]
    await server.call('heads', 1)
    const ended = abrupt ? agent.destroy(new Error('mine')) : agent.close()
    if (!abrupt) await server.call('next')
    const expected = abrupt ? 'error Error' : 'end {}'
    for (const { events } of await Promise.all(all)) assert.equal(events.at(-1), expected)
    await ended
    assert.deepEqual([agent.closed, agent.destroyed], [!abrupt, true])
  })
}
