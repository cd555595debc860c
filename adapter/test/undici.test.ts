import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable, Writable } from 'node:stream'
import { test } from 'node:test'
import {
  Agent,
  type Dispatcher,
  fetch,
  getGlobalDispatcher,
  interceptors,
  request,
  setGlobalDispatcher,
  stream
} from 'undici'
import { ShmAgent } from '../undici/index.ts'
import { agentFor, startApp } from './app.ts'
import { eventually } from './support/eventually.ts'
import { pattern, sha256 } from './support/pattern.ts'
import { type Scene, scene } from './support/scene.ts'

/** A plain HTTP origin that says who asked it. */
async function startOrigin(s: Scene): Promise<string> {
  const server = createServer((_request, response) => response.end('the origin'))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  s.defer(() => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

function agentWith(s: Scene, options: ConstructorParameters<typeof ShmAgent>[0]): ShmAgent {
  const agent = new ShmAgent(options)
  s.defer(() => agent.destroy())
  return agent
}

test('request, stream, fetch and the built-in fetch go through the global dispatcher', async (t) => {
  const s = await scene(t)
  await startApp(s)
  const before = getGlobalDispatcher()
  const agent = agentFor(s)
  setGlobalDispatcher(agent)
  s.defer(() => setGlobalDispatcher(before))

  const { statusCode, body } = await request('http://app.local/hello/request')
  assert.equal(statusCode, 200)
  assert.equal(((await body.json()) as { hello: string }).hello, 'request')

  const chunks: Buffer[] = []
  await stream('http://app.local/bytes/300000', { method: 'GET' }, () => {
    return new Writable({
      write(chunk: Buffer, _encoding, done) {
        chunks.push(Buffer.from(chunk))
        done()
      }
    })
  })
  assert.equal(sha256(Buffer.concat(chunks)), sha256(pattern(300_000)))

  for (const call of [fetch as unknown as typeof globalThis.fetch, globalThis.fetch]) {
    const response = await call('http://app.local/echo', {
      method: 'POST',
      body: 'over and back',
      headers: { 'content-type': 'application/octet-stream' }
    })
    assert.equal(await response.text(), 'over and back')
  }
  const [link] = agent.statistics().links
  assert.equal(link?.transport, 'shm')
  assert.equal(link?.connections.socket, 0)
})

test('bodies of every kind arrive', async (t) => {
  const s = await scene(t)
  await startApp(s)
  const agent = agentFor(s)
  const bytes = pattern(200_000)
  const bodies: [string, () => Dispatcher.DispatchOptions['body']][] = [
    ['string', () => 'text'],
    ['Buffer', () => bytes],
    ['Uint8Array', () => new Uint8Array(bytes)],
    ['Readable', () => Readable.from([bytes.subarray(0, 100_000), bytes.subarray(100_000)])]
  ]
  for (const [kind, body] of bodies) {
    const response = await agent.request({
      origin: 'http://a',
      path: '/echo',
      method: 'POST',
      headers: { 'content-type': 'application/octet-stream' },
      body: body() ?? null
    })
    const expected = kind === 'string' ? Buffer.from('text') : bytes
    assert.ok(Buffer.from(await response.body.arrayBuffer()).equals(expected), kind)
  }
})

test('nobody listens: UND_ERR_SOCKET at once, each time, also without shared memory', async (t) => {
  const s = await scene(t)
  const agent = agentFor(s)
  for (const disabled of ['', '1']) {
    process.env['SHMESH_DISABLE'] = disabled
    await assert.rejects(agent.request({ origin: 'http://a', path: '/', method: 'GET' }), {
      code: 'UND_ERR_SOCKET',
      message: /ENOENT .*app\.sock/
    })
  }
  delete process.env['SHMESH_DISABLE']
})

test('failOpen asks the origin itself, and counts', async (t) => {
  const s = await scene(t)
  const origin = await startOrigin(s)
  const agent = agentWith(s, { uri: s.path, failOpen: true })
  const response = await agent.request({ origin, path: '/', method: 'GET' })
  assert.equal(await response.body.text(), 'the origin')
  assert.equal(agent.statistics().failedOpen, 1)
})

test('https and hosts without a route go where they went before', async (t) => {
  const s = await scene(t)
  const app = await startApp(s)
  assert.equal(app.transport, 'shm')
  const origin = await startOrigin(s)
  const seen: string[] = []
  class Recorder extends Agent {
    override dispatch(options: Agent.DispatchOptions, handler: Dispatcher.DispatchHandler) {
      seen.push(String(options.origin))
      return super.dispatch(options, handler)
    }
  }
  const fallback = new Recorder()
  s.defer(() => fallback.destroy())
  const routes = { 'orders.internal': s.path, '*.mesh': `shm://${s.path}` }
  const agent = agentWith(s, { routes, fallback })

  for (const host of ['orders.internal', 'b.mesh', 'a.b.mesh']) {
    const response = await agent.request({
      origin: `http://${host}`,
      path: '/hello/x',
      method: 'GET'
    })
    assert.equal(((await response.body.json()) as { host: string }).host, host)
  }
  const direct = await agent.request({ origin, path: '/', method: 'GET' })
  assert.equal(await direct.body.text(), 'the origin')
  await assert.rejects(
    agent.request({ origin: origin.replace('http:', 'https:'), path: '/', method: 'GET' })
  )
  assert.deepEqual(seen, [origin, origin.replace('http:', 'https:')])
})

test('an aborted download gives back what it held', async (t) => {
  const s = await scene(t)
  const { app } = await startApp(s)
  const agent = agentFor(s)
  const { body } = await agent.request({
    origin: 'http://a',
    path: '/bytes/20000000',
    method: 'GET'
  })
  body.on('error', () => {})
  await once(body, 'readable')
  body.destroy()
  await eventually('no slice is in use', async () => {
    const sessions = await app.call('statistics')
    return sessions.every(({ slicesInUse, streams }) => slicesInUse === 0 && streams === 0)
  })
})

test('an app killed under a request is a reset the retry interceptor understands', async (t) => {
  const s = await scene(t)
  const { app } = await startApp(s)
  const agent = agentFor(s)
  const pending = agent.request({ origin: 'http://a', path: '/wait', method: 'GET' })
  const failed = assert.rejects(pending, (error: NodeJS.ErrnoException) => {
    return error.code === 'UND_ERR_SOCKET' || error.code === 'ECONNRESET'
  })
  await app.call('waiting')
  await app.kill()
  await failed

  await startApp(s)
  const retrying = agent.compose(interceptors.retry({ maxRetries: 2 }))
  const response = await retrying.request({ origin: 'http://a', path: '/hello/x', method: 'GET' })
  assert.equal(response.statusCode, 200)
  await response.body.dump()
})

test('close lets requests end, destroy does not', async (t) => {
  const s = await scene(t)
  const { app } = await startApp(s)
  for (const abrupt of [false, true]) {
    const agent = agentFor(s)
    const pending = agent.request({ origin: 'http://a', path: '/wait', method: 'GET' })
    const outcome = pending.then(
      ({ body }) => body.text(),
      (error: Error) => error.name
    )
    await app.call('waiting')
    const ended = abrupt ? agent.destroy() : agent.close()
    if (!abrupt) await app.call('release')
    assert.equal(await outcome, abrupt ? 'ClientDestroyedError' : 'released')
    await ended
    await assert.rejects(
      async () => agent.request({ origin: 'http://a', path: '/', method: 'GET' }),
      { code: /UND_ERR_(CLOSED|DESTROYED)/ }
    )
    await app.call('release')
  }
})

test('options that cannot be meant are refused by name', () => {
  const cases = [
    ['http://127.0.0.1/', /uri/],
    [{ uri: 'relative' }, /uri/],
    [{ routes: { 'http://a': '/x.sock' } }, /routes/],
    [{ routes: { '*': '/x.sock' } }, /^routes must be hosts: every other one goes to 'uri'/],
    [{ routes: { 'a.*': '/x.sock' } }, /^routes must be/],
    [{ routes: '/x.sock' as never }, /^routes must be/],
    [{ memory: '10MB' }, /^memory must be/],
    [{ fallback: 'http://127.0.0.1' as never }, /^fallback must be/],
    [{ https: {} as never }, /^https must be/],
    [null as never, /^ShmAgent must be/],
    [{ failOpen: 1 as never }, /failOpen/],
    [{ wakeUp: 'never' }, /^wakeUp must be/],
    [{ leakWarning: '0s' }, /^leakWarning must be/],
    [{ url: '/x' } as never, /url/]
  ] as const
  for (const [options, message] of cases) {
    assert.throws(() => new ShmAgent(options), { code: 'SHM_ERR_INVALID_ARG', message })
  }
})
