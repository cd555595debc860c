/** When an app is served, and what is known of it. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import shmesh, { type ShmPluginOptions } from '../fastify/index.ts'
import { connect } from '../index.ts'
import { agentFor } from './app.ts'
import { eventually } from './support/eventually.ts'
import { type Scene, scene } from './support/scene.ts'

function appFor(s: Scene, options: Partial<ShmPluginOptions>): FastifyInstance {
  const app = Fastify()
  app.register(shmesh, { path: s.path, ...options })
  app.get('/', async () => 'hello')
  s.defer(() => app.close())
  return app
}

async function ask(s: Scene): Promise<string> {
  const { body } = await agentFor(s).request({ origin: 'http://a', path: '/', method: 'GET' })
  return body.text()
}

test("listen: 'ready' serves an app that listens nowhere", async (t) => {
  const s = await scene(t)
  const app = appFor(s, {})
  await app.ready()
  assert.deepEqual(
    [app.shm.address, app.shm.paths, app.shm.transport],
    [`shm://${s.path}`, [s.path], 'shm']
  )
  assert.equal(await ask(s), 'hello')
  // It has been done.
  await app.shm.listen()
})

test("listen: 'listen' appears with the app's own address", async (t) => {
  const s = await scene(t)
  const app = appFor(s, { listen: 'listen' })
  await app.ready()
  assert.equal(existsSync(s.path), false)
  assert.equal(app.shm.transport, undefined)
  await app.listen({ port: 0 })
  // Fastify waits for nobody here.
  await app.shm.listen()
  assert.equal(await ask(s), 'hello')
})

test("listen: 'listen' closes an app that cannot be served", async (t) => {
  const s = await scene(t)
  const app = appFor(s, { listen: 'listen', path: join(s.directory, 'missing', 'app.sock') })
  await app.listen({ port: 0 })
  await eventually('it does not listen any more', () => !app.server.listening)
})

test("listen: 'manual' serves when it is told to", async (t) => {
  const s = await scene(t)
  const app = appFor(s, { listen: 'manual' })
  await app.listen({ port: 0 })
  assert.equal(existsSync(s.path), false)
  await Promise.all([app.shm.listen(), app.shm.listen()])
  assert.equal(await ask(s), 'hello')
  await app.close()
  assert.equal(existsSync(s.path), false)
  await assert.rejects(app.shm.listen(), { code: 'SHM_ERR_SESSION_CLOSED' })
})

test('what failed may be tried again', async (t) => {
  const s = await scene(t)
  const first = appFor(s, {})
  await first.ready()
  const second = appFor(s, { listen: 'manual' })
  await second.ready()
  await assert.rejects(second.shm.listen(), { code: 'SHM_ERR_ADDRESS_IN_USE' })
  await first.close()
  await second.shm.listen()
  assert.equal(await ask(s), 'hello')
})

test('an app that is closed while it opens leaves nothing', async (t) => {
  const s = await scene(t)
  const app = appFor(s, { listen: 'manual' })
  await app.ready()
  const opened = app.shm.listen()
  await app.close()
  await opened
  assert.equal(existsSync(s.path), false)
})

for (const listen of ['ready', 'listen'] as const) {
  test(`an app that is told to close while it starts does both; listen: '${listen}'`, async (t) => {
    const s = await scene(t)
    const app = appFor(s, { listen })
    const told = new AbortController()
    const started = app.listen({ port: 0, signal: told.signal })
    told.abort()
    // Fastify's answer when it did not listen.
    assert.equal(await started, undefined)
    await app.close()
    assert.equal(existsSync(s.path), false)
  })
}

test('a word that is none of the three is refused', async (t) => {
  const s = await scene(t)
  const app = Fastify()
  app.register(shmesh, { path: s.path, listen: 'later' as never })
  await assert.rejects(async () => app.ready(), {
    code: 'SHM_ERR_INVALID_ARG',
    message: /listen .*'ready', 'listen' or 'manual'/
  })
})

test('a path with signs of its own is a URL all the same', async (t) => {
  const s = await scene(t)
  const path = join(s.directory, 'a b#c?d.sock')
  const app = appFor(s, { path })
  await app.ready()
  const session = await connect(app.shm.address)
  assert.equal(app.shm.inspect()[0]?.perStream.length, 0)
  const stream = session.openStream()
  stream.write('GET')
  await eventually('the stream is shown', () => app.shm.inspect()[0]?.perStream.length === 1)
  stream.destroy()
  await session.close()
})

const TRUST: readonly [string, FastifyServerOptions['trustProxy'], string | undefined, unknown][] =
  [
    ['nobody', false, undefined, null],
    ['all', true, undefined, '192.0.2.7'],
    ['an address, which the socket has not', '127.0.0.1', undefined, null],
    ['an address, which the socket is given', '127.0.0.1', '127.0.0.1', '192.0.2.7'],
    ['what has no address', (address) => address === undefined, undefined, '192.0.2.7']
  ]
for (const [whom, trustProxy, remoteAddress, ip] of TRUST) {
  test(`trustProxy of ${whom}`, async (t) => {
    const s = await scene(t)
    const app = Fastify({ trustProxy: trustProxy ?? false })
    s.defer(() => app.close())
    const chosen = remoteAddress === undefined ? {} : { remoteAddress }
    await app.register(shmesh, { path: s.path, ...chosen })
    app.get('/', async (request) => ({ ip: request.ip ?? null }))
    await app.ready()
    const { body } = await agentFor(s).request({
      origin: 'http://a',
      path: '/',
      method: 'GET',
      headers: { 'x-forwarded-for': '192.0.2.7' }
    })
    assert.deepEqual(await body.json(), { ip })
  })
}
