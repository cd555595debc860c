/** How an app ends, with clients that are well, slow, stopped and gone. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { Agent as HttpAgent, request } from 'node:http'
import { createConnection } from 'node:net'
import { test } from 'node:test'
import Fastify from 'fastify'
import { upgrade } from 'undici'
import shmesh from '../fastify/index.ts'
import { startPeer } from '../shmipc/test/peer.ts'
import type { ShmAgent } from '../undici/index.ts'
import { agentFor, plainGet, sessionFor, startApp } from './app.ts'
import { eventually } from './support/eventually.ts'
import { scene } from './support/scene.ts'

const DOWNLOAD = 'GET /bytes/20000000 HTTP/1.1\r\nHost: a\r\n\r\n'

for (const stopped of [false, true]) {
  test(`close ends at drainTimeout when a client ${stopped ? 'is stopped' : 'does not read'}`, async (t) => {
    const s = await scene(t)
    const { app } = await startApp(s, { plugin: { path: s.path, drainTimeout: '300ms' } })
    const client = await startPeer(s)
    await client.call('connect', s.path)
    await client.call('say', DOWNLOAD)
    await eventually('the response waits for room', async () => {
      const [session] = await app.call('statistics')
      return session?.streams === 1 && (session.eventsSent ?? 0) > 0
    })
    if (stopped) client.signal('SIGSTOP')
    await app.call('close')

    await app.call('clean')
    if (stopped) client.signal('SIGCONT')
    // It finds its session gone.
    await eventually('the client knows', async () => {
      const { closeErrors } = await client.call('seen')
      return closeErrors.length === 1
    })
    await client.call('quiet')
  })
}

test('close is not kept by idle, silent and half-sent connections of any kind', async (t) => {
  const s = await scene(t)
  const { app } = await startApp(s)
  const keepAlive = new HttpAgent({ keepAlive: true })
  s.defer(() => keepAlive.destroy())
  const idle = request({ socketPath: s.path, path: '/hello/x', agent: keepAlive }).end()
  const [response] = await once(idle, 'response')
  response.resume()
  await once(response, 'end')
  const sockets = ['', 'GET /hello/x HTTP/1.1\r\nHo'].map((text) => {
    const socket = createConnection(s.path)
    s.defer(() => socket.destroy())
    socket.write(text)
    return socket.on('error', () => undefined).resume()
  })
  const session = await sessionFor(s)
  const half = session.openStream()
  half.on('error', () => undefined).resume()
  half.write('GET /hello/x HTTP/1.1\r\nHo')
  // Not `once`, which fails by an 'error': a write may meet a server that is gone.
  const closed = sockets.map((socket) => new Promise((resolve) => socket.once('close', resolve)))
  await app.call('close')

  await Promise.all(closed)
  assert.equal(existsSync(s.path), false)
})

// Of Fastify's three ways `true` is another matter, and 'idle' what happens without a word.
for (const forceCloseConnections of ['idle', false] as const) {
  for (const compat of [false, true]) {
    const title = `forceCloseConnections: ${forceCloseConnections}${compat ? ', compat' : ''}`
    test(`close answers what was sent before, on every connection; ${title}`, async (t) => {
      const s = await scene(t)
      const { app } = await startApp(s, { forceCloseConnections, plugin: { path: s.path, compat } })
      const agent = agentFor(s)
      const pending = Array.from({ length: 20 }, (_, i) =>
        agent.request({ origin: `http://${i}`, path: '/stream/500000', method: 'GET' })
      )
      const responses = await Promise.all(pending)
      const closed = app.call('close')
      for (const { statusCode, body } of responses) {
        assert.equal(statusCode, 200)
        assert.equal((await body.arrayBuffer()).byteLength, 500_000)
      }
      await closed
    })
  }
}

test('close waits for longer than Fastify lets its hooks take', async (t) => {
  const s = await scene(t)
  const { app } = await startApp(s, { pluginTimeout: 2000 })
  const agent = agentFor(s)
  const pending = agent.request({ origin: 'http://a', path: '/wait', method: 'GET' })
  await app.call('waiting')
  const closed = app.call('close')
  // A deadline that must pass without any effect.
  await new Promise((resolve) => setTimeout(resolve, 2500))
  await app.call('release')
  assert.equal(await (await pending).body.text(), 'released')
  await closed
})

test('close twice is once, and new requests are refused at once', async (t) => {
  const s = await scene(t)
  const { app } = await startApp(s)
  const agent = agentFor(s)
  await Promise.all([app.call('close'), app.call('close')])
  await assert.rejects(agent.request({ origin: 'http://a', path: '/', method: 'GET' }), {
    code: 'UND_ERR_SOCKET'
  })
})

test('an upgraded connection is closed when the drain ends', async (t) => {
  const s = await scene(t)
  const { app } = await startApp(s, { plugin: { path: s.path, drainTimeout: '300ms' } })
  const agent = agentFor(s)
  const { socket } = await upgrade('http://a/', { dispatcher: agent, protocol: 'echo' })
  socket.on('error', () => undefined)
  const closed = new Promise((resolve) => socket.once('close', resolve))
  await app.call('close')
  await closed
})

test('an app that was never ready closes, and one that is closed opens nothing', async (t) => {
  const s = await scene(t)
  const app = Fastify()
  app.register(shmesh, { path: s.path })
  await app.close()
  assert.equal(existsSync(s.path), false)
})

test('an app without TCP serves, and ends by itself once it is closed', async (t) => {
  const s = await scene(t)
  const { app } = await startApp(s)
  assert.equal((await plainGet(s.path, '/hello/x')).status, 200)
  await app.call('close')
  await app.call('letGo')
  assert.equal(await app.ended(), 0)
})

test('an app that exits without closing is replaced', async (t) => {
  const s = await scene(t)
  const { app } = await startApp(s)
  const agent = agentFor(s)
  await ask(agent)
  await app.kill()
  assert.equal(existsSync(s.path), true)
  await startApp(s)
  await ask(agent)
})

async function ask(agent: ShmAgent): Promise<void> {
  const { statusCode, body } = await agent.request({
    origin: 'http://a',
    path: '/hello/x',
    method: 'GET'
  })
  await body.dump()
  assert.equal(statusCode, 200)
}
