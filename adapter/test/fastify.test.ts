import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import Fastify from 'fastify'
import { upgrade } from 'undici'
import shmesh from '../fastify/index.ts'
import { agentFor, plainGet, sessionFor, startApp } from './app.ts'
import { eventually } from './support/eventually.ts'
import { pattern, sha256 } from './support/pattern.ts'
import { scene } from './support/scene.ts'

test('routes, hooks, parameters and errors are what they are over TCP', async (t) => {
  const s = await scene(t)
  const { transport, tcp } = await startApp(s, { tcp: true })
  assert.equal(transport, 'shm')
  const agent = agentFor(s)

  for (const path of ['/hello/world', '/fails', '/nowhere', '/bytes/10', '/trailers']) {
    const [shm, direct] = await Promise.all([
      agent.request({ origin: 'http://app.local', path, method: 'GET' }),
      fetch(`${tcp}${path}`)
    ])
    assert.equal(shm.statusCode, direct.status, path)
    assert.equal(shm.headers['content-type'], direct.headers.get('content-type') ?? undefined, path)
    assert.equal(shm.headers['x-hook'], 'ran', path)
    const body = await shm.body.text()
    const expected = await direct.text()
    if (!path.startsWith('/hello')) assert.equal(body, expected, path)
    if (path === '/trailers') assert.deepEqual(shm.trailers, { 'x-checksum': 'abc' })
  }
  const hello = await agent.request({ origin: 'http://app.local', path: '/hello/a', method: 'GET' })
  // As over any Unix socket, nobody's address is known.
  assert.deepEqual(await hello.body.json(), { hello: 'a', ip: null, host: 'app.local' })
})

test('bodies of every size arrive exact, both ways', async (t) => {
  const s = await scene(t)
  await startApp(s)
  const agent = agentFor(s)
  const headers = { 'content-type': 'application/octet-stream' }
  const sizes = [1, 4095, 4096, 4097, 32_768, 65_537, 262_144, 1_048_576, 8_388_609]
  await Promise.all(
    sizes.map(async (bytes) => {
      const body = pattern(bytes, bytes)
      const options = {
        origin: 'http://app.local',
        path: '/echo',
        method: 'POST',
        headers
      } as const
      const response = await agent.request({ ...options, body })
      assert.equal(response.statusCode, 200)
      assert.equal(sha256(Buffer.from(await response.body.arrayBuffer())), sha256(body), `${bytes}`)
    })
  )
  const head = await agent.request({ origin: 'http://a', path: '/bytes/5000', method: 'HEAD' })
  assert.equal(head.headers['content-length'], '5000')
  assert.equal(await head.body.text(), '')
})

test('a client that speaks HTTP is served on the same path', async (t) => {
  const s = await scene(t)
  await startApp(s)
  const { status, body } = await plainGet(s.path, '/hello/curl')
  assert.equal(status, 200)
  assert.equal(JSON.parse(body).hello, 'curl')
})

test('without shared memory the app warns once and serves the same path', async (t) => {
  const s = await scene(t)
  const { app, transport } = await startApp(s, {}, { env: { SHMESH_DISABLE: '1' } })
  assert.equal(transport, 'socket')
  for (const name of ['a', 'b']) {
    assert.equal((await plainGet(s.path, `/hello/${name}`)).status, 200)
  }
  const agent = agentFor(s)
  const response = await agent.request({ origin: 'http://a', path: '/hello/c', method: 'GET' })
  assert.equal(response.statusCode, 200)
  await response.body.dump()
  assert.equal(agent.statistics().links[0]?.transport, 'socket')
  assert.equal(app.stderr.match(/ShmeshWarning/g)?.length, 1, app.stderr)
})

test('close waits for a request under way and ends idle connections', async (t) => {
  const s = await scene(t)
  const { app } = await startApp(s)
  const agent = agentFor(s)
  const warm = await agent.request({ origin: 'http://a', path: '/hello/x', method: 'GET' })
  await warm.body.dump()
  const pending = agent.request({ origin: 'http://a', path: '/wait', method: 'GET' })
  await app.call('waiting')
  const closed = app.call('close')
  // The path goes first: whoever comes now must find the next server, not this one.
  await eventually('the path is gone', async () => {
    const attempt = await plainGet(s.path, '/hello/late').catch((error) => error.code)
    return attempt === 'ENOENT'
  })
  await app.call('release')
  const response = await pending
  assert.equal(response.statusCode, 200)
  assert.equal(await response.body.text(), 'released')
  await closed
})

test('close with forceCloseConnections aborts what is under way', async (t) => {
  const s = await scene(t)
  const { app } = await startApp(s, { forceCloseConnections: true })
  const agent = agentFor(s)
  const pending = agent.request({ origin: 'http://a', path: '/wait', method: 'GET' })
  const failed = assert.rejects(pending)
  await app.call('waiting')
  await app.call('close')
  await failed
})

test('a client that gives up aborts its request', async (t) => {
  const s = await scene(t)
  const { app } = await startApp(s)
  const agent = agentFor(s)
  const abort = new AbortController()
  const pending = agent.request({
    origin: 'http://a',
    path: '/wait',
    method: 'GET',
    signal: abort.signal
  })
  await app.call('waiting')
  abort.abort()
  await assert.rejects(pending, { name: 'AbortError' })
  await app.call('aborted', 1)
  await app.call('release')
})

test('a head that does not end, and a request that does not, are answered by 408', async (t) => {
  const s = await scene(t)
  await startApp(s, { headersTimeout: 1100, requestTimeout: 1100 })
  const session = await sessionFor(s)
  for (const bytes of ['GET /hello/x HTTP/1.1\r\nHost: a\r\n', POST_WITHOUT_ITS_BODY]) {
    const stream = session.openStream()
    stream.on('error', () => {})
    stream.write(bytes)
    const [first] = (await once(stream, 'data')) as [Buffer]
    assert.match(first.toString(), /^HTTP\/1\.1 408 /)
    stream.resume()
    await eventually('the connection is closed', () => stream.readableEnded || stream.destroyed)
    stream.destroy()
  }
})

test('an idle connection is closed after keepAliveTimeout', async (t) => {
  const s = await scene(t)
  await startApp(s, { keepAliveTimeout: 1000 })
  const session = await sessionFor(s)
  const stream = session.openStream()
  stream.on('error', () => {})
  stream.write('GET /hello/x HTTP/1.1\r\nHost: a\r\n\r\n')
  assert.match(await text(stream), /^HTTP\/1\.1 200 /)
})

test('an upgraded connection belongs to whoever upgraded it', async (t) => {
  const s = await scene(t)
  await startApp(s, { forceCloseConnections: true })
  const agent = agentFor(s)
  const { socket } = await upgrade('http://a/', { dispatcher: agent, protocol: 'echo' })
  socket.write('over and back')
  const [answer] = (await once(socket, 'data')) as [Buffer]
  assert.equal(answer.toString(), 'over and back')
  socket.destroy()
})

test('several paths are served alike', async (t) => {
  const s = await scene(t)
  const second = `${s.directory}/second.sock`
  await startApp(s, { plugin: { path: [s.path, `shm://${second}`] } })
  for (const path of [s.path, second]) assert.equal((await plainGet(path, '/hello/x')).status, 200)
})

test('a start-up that fails leaves no path behind', async (t) => {
  const s = await scene(t)
  const app = Fastify()
  await app.register(shmesh, { path: [s.path, `${s.directory}/missing/app.sock`] })
  await assert.rejects(async () => app.ready(), { code: 'SHM_ERR_ADDRESS' })
  await assert.rejects(plainGet(s.path, '/'), { code: 'ENOENT' })
  await app.close()
})

test('a path that a living app serves is refused, and taken over when asked', async (t) => {
  const s = await scene(t)
  await startApp(s)
  const app = Fastify()
  await app.register(shmesh, { path: s.path })
  await assert.rejects(async () => app.ready(), { code: 'SHM_ERR_ADDRESS_IN_USE' })
  await app.close()
  await startApp(s, { plugin: { path: s.path, takeover: true } })
  assert.equal((await plainGet(s.path, '/hello/new')).status, 200)
})

test('options that cannot be meant are refused by name', async () => {
  const cases = [
    [{ path: 'relative.sock' }, /path/],
    [{ path: `/tmp/${'x'.repeat(120)}.sock` }, /107/],
    [{ memory: '0MiB' }, /memory/],
    [{ memory: '9000GiB' }, /memory/],
    [{ memory: 64 as never }, /memory/],
    [{ mode: 'rw' as never }, /mode/],
    [{ drainTimeout: '5' }, /drainTimeout/],
    [{ takeover: 'yes' as never }, /takeover/],
    [{ pth: '/x' } as never, /pth/]
  ] as const
  for (const [options, message] of cases) {
    const app = Fastify()
    app.register(shmesh, options)
    await assert.rejects(async () => app.ready(), { message })
    await app.close()
  }
})

test('require() gives the plugin itself', () => {
  const required: unknown = createRequire(import.meta.url)('../fastify/index.js')
  assert.equal(required, shmesh)
})

const POST_WITHOUT_ITS_BODY =
  'POST /echo HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nContent-Length: 10\r\n\r\n123'
