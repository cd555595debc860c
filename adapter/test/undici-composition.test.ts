/** The agent among undici's other dispatchers: in front, behind, inside, wrapped. */
import assert from 'node:assert/strict'
import type { EventEmitter } from 'node:events'
import { type TestContext, test } from 'node:test'
import {
  Agent,
  BalancedPool,
  type Dispatcher,
  EnvHttpProxyAgent,
  interceptors,
  MockAgent,
  Pool,
  RetryAgent,
  RoundRobinPool,
  request
} from 'undici'
import { type DispatchController, ShmAgent, shm } from '../undici/index.ts'
import { startScripted, transcribe } from './scripted.ts'
import { eventually } from './support/eventually.ts'
import { scene } from './support/scene.ts'

const ORIGIN = 'http://app.test'
const SCRIPT = {
  '/': { parts: ['HTTP/1.1 200 OK\r\nx-a: 1\r\nx-a: 2\r\ncontent-length: 2\r\n\r\nok'] },
  '/moved': { parts: ['HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n'] },
  '/fails': { parts: ['HTTP/1.1 500 No\r\ncontent-length: 2\r\n\r\nno'] },
  '/held': { parts: ['', 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'] },
  '/once': {
    parts: ['HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'],
    once: true,
    finally: 'destroy'
  }
} as const

async function setUp(t: TestContext) {
  const s = await scene(t)
  const { server, tcp } = await startScripted(s, SCRIPT)
  const agent = new ShmAgent(s.path)
  s.defer(() => agent.destroy())
  const own = <D extends Dispatcher>(dispatcher: D): D => {
    s.defer(() => dispatcher.destroy())
    return dispatcher
  }
  return { s, server, tcp, agent, own }
}

test('every interceptor of undici works on it', async (t) => {
  const { agent } = await setUp(t)
  const cases = {
    retry: interceptors.retry(),
    redirect: interceptors.redirect({ maxRedirections: 1 }),
    responseError: interceptors.responseError(),
    dump: interceptors.dump(),
    dns: interceptors.dns(),
    cache: interceptors.cache(),
    decompress: interceptors.decompress(),
    deduplicate: interceptors.deduplicate()
  }
  for (const [name, interceptor] of Object.entries(cases)) {
    const composed = agent.compose(interceptor)
    const origin = name === 'dns' ? 'http://127.0.0.1' : ORIGIN
    const { statusCode, body } = await composed.request({ origin, path: '/', method: 'GET' })
    assert.equal(statusCode, 200, name)
    assert.equal(await body.text(), name === 'dump' ? '' : 'ok', name)
  }
  const composed = agent.compose(cases.redirect, cases.responseError)
  const moved = await composed.request({ origin: ORIGIN, path: '/moved', method: 'GET' })
  assert.equal(await moved.body.text(), 'ok')
  await assert.rejects(composed.request({ origin: ORIGIN, path: '/fails', method: 'GET' }), {
    code: 'UND_ERR_RESPONSE'
  })
  // Composed, its other methods still find their state.
  await composed.close()
  assert.equal(agent.closed, true)
})

test('dispatch has the two parameters interceptors check for', () => {
  assert.equal(ShmAgent.prototype.dispatch.length, 2)
  assert.equal(typeof ShmAgent.prototype.request, 'function')
})

test('RetryAgent retries over it', async (t) => {
  const { agent, own, server } = await setUp(t)
  const retrying = own(new RetryAgent(agent, { minTimeout: 1, maxRetries: 2 }))
  for (let i = 0; i < 2; i++) {
    const { body } = await retrying.request({
      origin: ORIGIN,
      path: '/once',
      method: 'PUT',
      body: 'x'
    })
    assert.equal(await body.text(), 'ok')
  }
  assert.equal((await server.call('seen')).length, 3)
})

test('in Agent and Pool as factory, it stays while it has connections', async (t) => {
  const { s, own, server } = await setUp(t)
  for (const Outer of [Agent, Pool]) {
    const made: ShmAgent[] = []
    const factory = () => {
      const inner = new ShmAgent(s.path)
      s.defer(() => inner.destroy())
      made.push(inner)
      return inner
    }
    const outer = own(
      Outer === Agent
        ? new Agent({ factory: factory as never })
        : new Pool(ORIGIN, { factory: factory as never, connections: 1 })
    )
    const send = (path: string) => transcribe(outer, { origin: ORIGIN, path, method: 'GET' })
    const all = [send('/held'), send('/held')]
    await eventually('both came', async () => (await server.call('connections')) >= 2)
    await server.call('next')
    await Promise.all(all)
    // One of its two connections ends: undici must not close it for that.
    await transcribe(outer, { origin: ORIGIN, path: '/', method: 'GET', reset: true })
    assert.equal((await send('/')).events.at(-1), 'end {}')
    assert.deepEqual(
      made.map(({ closed }) => closed),
      [false],
      Outer.name
    )
    await outer.close()
    assert.deepEqual(
      made.map(({ closed, destroyed }) => closed || destroyed),
      [true]
    )
  }
})

test('in BalancedPool and RoundRobinPool as factory, what waits goes on when one is free', async (t) => {
  const { s, own, server } = await setUp(t)
  for (const Outer of [BalancedPool, RoundRobinPool]) {
    const factory = () => {
      const inner = new ShmAgent({ uri: s.path, connections: 1 })
      s.defer(() => inner.destroy())
      return inner
    }
    const outer = own(new Outer(ORIGIN, { factory: factory as never, connections: 1 } as never))
    await server.call('seen')
    const all = Array.from({ length: 5 }, () =>
      transcribe(outer, { origin: ORIGIN, path: '/', method: 'GET' })
    )
    for (const { events } of await Promise.all(all)) assert.equal(events.at(-1), 'end {}')
    assert.equal((await server.call('seen')).length, 5)
    await outer.close()
  }
})

test('an EnvHttpProxyAgent, which Node.js may have made global, is a fallback', async (t) => {
  const { s, own, tcp } = await setUp(t)
  const fallback = own(new EnvHttpProxyAgent({ noProxy: '*' }))
  const agent = own(new ShmAgent({ routes: { 'app.test': s.path }, fallback }))
  for (const origin of [ORIGIN, tcp]) {
    const { body } = await request(origin, { dispatcher: agent })
    assert.equal(await body.text(), 'ok')
  }
})

test('HTTP/2 is neither offered nor refused: allowH2 says nothing here', async (t) => {
  const { agent, server } = await setUp(t)
  for (const allowH2 of [true, false]) {
    const options = { origin: ORIGIN, path: '/', method: 'GET', allowH2 } as never
    assert.equal((await transcribe(agent, options)).events.at(-1), 'end {}')
  }
  for (const { headers } of await server.call('seen')) {
    assert.deepEqual(headers, ['host', 'app.test', 'connection', 'keep-alive'])
  }
})

test('it has no private members, which a Proxy of undici could not reach', async (t) => {
  const { agent } = await setUp(t)
  const composed = new Proxy(agent, {})
  const { body } = await composed.request({ origin: ORIGIN, path: '/', method: 'GET' })
  assert.equal(await body.text(), 'ok')
  assert.equal(composed.alloc(10, { origin: ORIGIN }).length, 10)
  composed.release(composed.allocUnsafe(100_000, { origin: ORIGIN }))
  assert.equal(composed.statistics().links.length, 1)
  assert.equal(composed.closed, false)
  await composed.close()
  assert.equal(composed.destroyed, true)
})

test('connect and disconnect are told once for all connections of an origin', async (t) => {
  const { agent, server } = await setUp(t)
  const told: string[] = []
  const emitter: EventEmitter = agent
  for (const event of ['connect', 'disconnect']) {
    emitter.on(event, (origin: URL) => told.push(`${event} ${origin.origin}`))
  }
  const send = (path: string) => transcribe(agent, { origin: ORIGIN, path, method: 'GET' })
  const all = [send('/held'), send('/held')]
  await server.call('heads', 2)
  await server.call('next')
  await Promise.all(all)
  await agent.close()
  assert.deepEqual(told, [`connect ${ORIGIN}`, `disconnect ${ORIGIN}`])
})

test('a MockAgent as its fallback answers what has no route', async (t) => {
  const { s, own } = await setUp(t)
  const mock = new MockAgent()
  s.defer(() => mock.close())
  mock.disableNetConnect()
  mock.get('http://mocked.test').intercept({ path: '/' }).reply(200, 'mocked').persist()
  const agent = own(new ShmAgent({ routes: { 'app.test': s.path }, fallback: mock }))
  for (const [origin, expected] of [
    ['http://mocked.test', 'mocked'],
    [ORIGIN, 'ok']
  ] as const) {
    const { body } = await request(origin, { dispatcher: agent })
    assert.equal(await body.text(), expected)
  }
})

test('as an interceptor it takes its routes and leaves the rest', async (t) => {
  const { s, own, tcp } = await setUp(t)
  const direct = own(new Agent())
  const routed = own(new ShmAgent({ routes: { 'app.test': s.path }, fallback: direct }))
  const composed = direct.compose(shm(routed))
  for (const origin of [ORIGIN, tcp]) {
    const { body } = await composed.request({ origin, path: '/', method: 'GET' })
    assert.equal(await body.text(), 'ok')
  }
  assert.equal(routed.statistics().links[0]?.connections.shm, 1)
})

test('interceptors may change the raw headers that came', async (t) => {
  const { agent } = await setUp(t)
  const seen: unknown[] = []
  await new Promise<void>((resolve, reject) => {
    agent.dispatch({ origin: ORIGIN, path: '/', method: 'GET' }, {
      onRequestStart() {},
      onResponseStart(controller: DispatchController) {
        // As decompress of undici 8.12 does.
        const raw = controller.rawHeaders as string[]
        raw.splice(0, raw.length, 'x-other', '1')
        seen.push(controller.rawHeaders)
      },
      onResponseEnd(controller: DispatchController) {
        const raw = controller.rawTrailers as string[]
        raw.push('x-sum', '2')
        seen.push(controller.rawTrailers)
        resolve()
      },
      onResponseError: (_controller: unknown, error: Error) => reject(error)
    } as never)
  })
  assert.deepEqual(seen, [
    ['x-other', '1'],
    ['x-sum', '2']
  ])
})

test('interceptors may put other raw headers in the place of those that came', async (t) => {
  const { agent } = await setUp(t)
  const seen: unknown[] = []
  const options = { origin: ORIGIN, path: '/', method: 'GET' } as const
  await new Promise<void>((resolve, reject) => {
    agent.dispatch(options, {
      onRequestStart() {},
      onResponseStart(controller: DispatchController) {
        // As decompress of undici 8 does.
        controller.rawHeaders = ['x-other', '1']
        seen.push(controller.rawHeaders)
      },
      onResponseEnd(controller: DispatchController) {
        controller.rawTrailers = []
        seen.push(controller.rawHeaders, controller.rawTrailers)
        resolve()
      },
      onResponseError: (_controller: unknown, error: Error) => reject(error)
    } as never)
  })
  assert.deepEqual(seen, [['x-other', '1'], ['x-other', '1'], []])
})

test('what the fallback refuses is told to a handler that hears of nothing else', async (t) => {
  const s = await scene(t)
  const fallback = new Agent()
  const agent = new ShmAgent({ routes: { 'app.test': s.path }, fallback })
  s.defer(async () => {
    await agent.destroy()
    await fallback.destroy()
  })
  const told: string[] = []
  const handler = { onResponseError: (_c: unknown, error: Error) => told.push(error.message) }
  const options = { origin: 'http://other.test', path: 'relative', method: 'GET' } as const
  agent.dispatch(options, handler as never)
  assert.deepEqual(told, ['path must be an absolute URL or start with a slash'])
})
