/** ShmHttpAgent beside http.Agent: the same requests, over shared memory and over TCP. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import {
  Agent,
  type ClientRequest,
  createServer,
  type IncomingMessage,
  type RequestOptions,
  request
} from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { buffer, text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { ShmHttpAgent, type ShmHttpAgentOptions } from '../http/index.ts'
import { listen } from '../shmipc/index.ts'
import { startScripted } from './scripted.ts'
import { eventually } from './support/eventually.ts'
import { pattern, sha256 } from './support/pattern.ts'
import { scene } from './support/scene.ts'

const OK = 'HTTP/1.1 200 OK\r\n'
const SCRIPT = {
  '/': { parts: [`${OK}content-length: 2\r\n\r\nok`] },
  '/close': {
    parts: [`${OK}connection: close\r\ncontent-length: 2\r\n\r\nok`],
    finally: 'end'
  },
  '/never': {},
  '/begun': { parts: [`${OK}content-length: 10\r\n\r\nbegun`, 'rest.'] },
  '/held': { parts: ['', `${OK}content-length: 2\r\n\r\nok`] },
  '/brief': { parts: [`${OK}keep-alive: timeout=1\r\ncontent-length: 2\r\n\r\nok`] },
  '/cut': { parts: [`${OK}content-length: 10\r\n\r\nbegun`], finally: 'destroy' },
  '/large': { parts: [`${OK}content-length: 5000000\r\n\r\n`], fill: 5_000_000 },
  '/trailers': {
    parts: [`${OK}transfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-a: b\r\n\r\n`]
  },
  '/farewell': {
    parts: ['HTTP/1.1 101 Switching Protocols\r\nupgrade: echo\r\nconnection: upgrade\r\n\r\nbye'],
    finally: 'end'
  },
  '/switch': {
    parts: ['HTTP/1.1 101 Switching Protocols\r\nupgrade: echo\r\nconnection: upgrade\r\n\r\nhello']
  }
} as const

async function setUp(t: TestContext, options: ShmHttpAgentOptions = {}) {
  const s = await scene(t)
  const { server, tcp } = await startScripted(s, SCRIPT)
  const { uri, routes, memory, failOpen, ...plainOptions } = options
  const plain = new Agent({ keepAlive: true, ...plainOptions })
  const shm = new ShmHttpAgent({ uri: s.path, ...options })
  s.defer(() => {
    plain.destroy()
    shm.destroy()
  })
  const { port } = new URL(tcp)
  /** As the two are called. */
  const both = [
    ['http.Agent', { agent: plain, host: '127.0.0.1', port }],
    ['ShmHttpAgent', { agent: shm, host: 'app.test', port: 80 }]
  ] as const
  return { s, server, shm, both }
}

function send(base: RequestOptions, path: string, more: RequestOptions = {}): ClientRequest {
  const sent = request({ ...base, path, ...more })
  // A reset behind the head is told by both, request and response.
  return sent.on('error', () => undefined).end()
}

async function answer(sent: ClientRequest): Promise<IncomingMessage> {
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  return response
}

async function get(base: RequestOptions, path: string): Promise<string> {
  return text(await answer(send(base, path)))
}

test('requests, bodies and trailers are those of http.Agent', async (t) => {
  const { both, shm, server } = await setUp(t)
  const body = pattern(300_000)
  for (const [name, base] of both) {
    assert.equal(await get(base, '/'), 'ok', name)
    assert.equal((await buffer(await answer(send(base, '/large')))).length, 5_000_000, name)
    const trailing = await answer(send(base, '/trailers'))
    assert.equal(await text(trailing), 'ok', name)
    assert.deepEqual({ ...trailing.trailers }, { 'x-a': 'b' }, name)
    const upload = request({ ...base, path: '/', method: 'POST' })
    upload.end(body)
    assert.equal(await text(await answer(upload)), 'ok', name)
    const seen = await server.call('seen')
    assert.equal(seen.at(-1)?.sha256, sha256(body), name)
  }
  const [link] = shm.statistics().links
  assert.equal(link?.transport, 'shm')
})

test('connections are kept, counted and capped as those of http.Agent', async (t) => {
  const { both, server } = await setUp(t, { maxSockets: 2 })
  for (const [name, base] of both) {
    const { agent } = base
    await server.call('seen')
    const requests = Array.from({ length: 4 }, () => send(base, '/held'))
    const answers = requests.map(async (sent) => text(await answer(sent)))
    await eventually('two are under way', () => Object.values(agent.sockets).flat().length === 2)
    assert.equal(Object.values(agent.requests).flat().length, 2, name)
    const all = Promise.all(answers)
    let done = false
    all.then(() => {
      done = true
    })
    await eventually('all are answered', async () => {
      await server.call('next')
      return done
    })
    assert.deepEqual(await all, ['ok', 'ok', 'ok', 'ok'], name)
    const seen = await server.call('seen')
    assert.equal(new Set(seen.map(({ connection }) => connection)).size, 2, name)
    await eventually('both are free', () => Object.values(agent.freeSockets).flat().length === 2)
  }
})

test('a request says that its connection was used before', async (t) => {
  const { both } = await setUp(t)
  for (const [name, base] of both) {
    const first = send(base, '/')
    await text(await answer(first))
    await eventually('it is free', () => Object.keys(base.agent.freeSockets).length === 1)
    const second = send(base, '/')
    await text(await answer(second))
    assert.deepEqual([first.reusedSocket, second.reusedSocket], [false, true], name)
    assert.equal(await get(base, '/close'), 'ok', name)
    await eventually('it is gone', () => Object.keys(base.agent.freeSockets).length === 0)
  }
})

test('timeouts: of a request, of its socket, of the agent, and for idle connections', async (t) => {
  const { both, s, server } = await setUp(t)
  for (const [name, base] of both) {
    const byOption = send(base, '/never', { timeout: 30 })
    await once(byOption, 'timeout')
    byOption.destroy()

    const byMethod = send(base, '/begun')
    const response = await answer(byMethod)
    response.on('error', () => undefined)
    await once(byMethod.setTimeout(30), 'timeout')
    assert.equal(byMethod.socket?.timeout, 30, name)
    byMethod.destroy()

    // 'timeout' of the server's Keep-Alive; node:http ends a second before it.
    assert.equal(await get(base, '/brief'), 'ok', name)
  }
  const agent = new ShmHttpAgent({ uri: s.path, timeout: 30 })
  s.defer(() => agent.destroy())
  const sent = send({ agent, host: 'app.test' }, '/never')
  await once(sent, 'timeout')
  sent.destroy()
  await server.call('seen')
})

test('an abort ends the request and its connection, whenever it comes', async (t) => {
  const { both, server } = await setUp(t)
  for (const [name, base] of both) {
    const before = send(base, '/')
    before.destroy(new Error('before'))
    await assert.rejects(once(before, 'response'), { message: 'before' }, name)

    const controller = new AbortController()
    const waiting = send(base, '/never', { signal: controller.signal })
    const failed = assert.rejects(once(waiting, 'response'), { name: 'AbortError' }, name)
    await once(waiting, 'finish')
    controller.abort()
    await failed

    const reading = send(base, '/begun')
    const response = await answer(reading)
    const read = assert.rejects(text(response))
    response.destroy()
    await read
    await eventually('nothing is open', async () => (await server.call('connections')) === 0)
  }
})

test('a connection that breaks, and a server that is not there', async (t) => {
  const { both, s } = await setUp(t)
  for (const [name, base] of both) {
    await assert.rejects(get(base, '/cut'), { code: 'ECONNRESET' }, name)
  }
  const agent = new ShmHttpAgent(`${s.path}.none`)
  s.defer(() => agent.destroy())
  await assert.rejects(get({ agent, host: 'app.test' }, '/'), { code: 'ENOENT' })
})

test('an upgrade gives the connection away', async (t) => {
  const { both } = await setUp(t)
  for (const [name, base] of both) {
    const sent = send(base, '/switch', { headers: { connection: 'upgrade', upgrade: 'echo' } })
    const [response, socket, head] = (await once(sent, 'upgrade')) as [
      IncomingMessage,
      Socket,
      Buffer
    ]
    assert.equal(response.statusCode, 101, name)
    const first = head.length > 0 ? head : ((await once(socket, 'data')) as [Buffer])[0]
    assert.equal(first.toString(), 'hello', name)
    assert.equal(Object.values(base.agent.sockets).flat().length, 0, name)
    socket.destroy()
  }
})

test('an upgraded connection ends behind the end of its server', async (t) => {
  const { server, both } = await setUp(t)
  for (const [name, base] of both) {
    const sent = send(base, '/farewell', { headers: { connection: 'upgrade', upgrade: 'echo' } })
    const [, socket] = (await once(sent, 'upgrade')) as [IncomingMessage, Socket]
    const ended = once(socket, 'end')
    socket.resume()
    await ended
    await new Promise(setImmediate)
    assert.ok(socket.writableEnded, name)
  }
  await eventually('the server let go', async () => (await server.call('connections')) === 0)
})

test('without shared memory the same requests go by the socket', async (t) => {
  process.env['SHMESH_DISABLE'] = '1'
  t.after(() => {
    delete process.env['SHMESH_DISABLE']
  })
  const { both, shm } = await setUp(t, { maxSockets: 1 })
  const [, [, base]] = both
  assert.deepEqual(await Promise.all([get(base, '/'), get(base, '/')]), ['ok', 'ok'])
  const [link] = shm.statistics().links
  assert.deepEqual({ ...link?.connections }, { shm: 0, socket: 1 })
})

test('hosts without a route, and failOpen, go to the host itself', async (t) => {
  const { s } = await setUp(t)
  const origin = createServer((_request, response) => response.end('the origin'))
  origin.listen(0, '127.0.0.1')
  await once(origin, 'listening')
  s.defer(() => new Promise((resolve) => origin.close(resolve)))
  const { port } = origin.address() as AddressInfo
  const routed = new ShmHttpAgent({ routes: { 'app.test': s.path } })
  const open = new ShmHttpAgent({ uri: `${s.path}.none`, failOpen: true })
  s.defer(() => {
    routed.destroy()
    open.destroy()
  })
  assert.equal(await get({ agent: routed, host: 'app.test' }, '/'), 'ok')
  for (const agent of [routed, open]) {
    assert.equal(await get({ agent, host: '127.0.0.1', port }, '/'), 'the origin')
  }
  assert.equal(open.statistics().failedOpen, 1)
})

test('destroy ends everything; a later request begins anew', async (t) => {
  const { both, shm, server } = await setUp(t)
  const [, [, base]] = both
  const pending = send(base, '/never')
  const failed = assert.rejects(once(pending, 'response'))
  await server.call('heads', 1)
  shm.destroy()
  await failed
  assert.equal(shm.statistics().links.length, 0)
  assert.equal(await get(base, '/'), 'ok')
})

test('who awaits a response can listen before it breaks behind its head', async (t) => {
  const s = await scene(t)
  const path = `${s.path}.broken`
  const listener = await listen({ path })
  const agent = new ShmHttpAgent({ uri: path })
  s.defer(() => {
    agent.destroy()
    return listener.close()
  })
  // Both reach the client in one turn.
  listener.on('stream', (stream) => {
    stream.once('data', () => {
      stream.write(SCRIPT['/cut'].parts[0])
      stream.destroy()
    })
  })
  const response = await answer(send({ agent, host: 'app.test' }, '/'))
  assert.equal(response.destroyed, false)
  response.resume()
  await assert.rejects(once(response, 'end'), { code: 'ECONNRESET' })
})

test('options that cannot be meant are refused by name', () => {
  for (const [options, message] of [
    [{ uri: 'http://x' }, /uri/],
    [{ routes: { 'a/b': '/x' } }, /routes/],
    [{ routes: '/x.sock' }, /^routes must be/],
    [{ routes: 0 }, /^routes must be/],
    [null, /^ShmHttpAgent must be/],
    [{ memory: '12' }, /memory/],
    [{ failOpen: 'yes' }, /failOpen/]
  ] as const) {
    assert.throws(() => new ShmHttpAgent(options as never), {
      code: 'SHM_ERR_INVALID_ARG',
      message
    })
  }
})
