/** `shmesh.bufferParser`: bodies as one Buffer, through shared memory and without. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import Fastify from 'fastify'
import shmesh from '../fastify/index.ts'
import { agentFor, plainGet, startApp } from './app.ts'
import { eventually } from './support/eventually.ts'
import { pattern, sha256 } from './support/pattern.ts'
import { type Scene, scene } from './support/scene.ts'

const SIZES = [1, 16_384, 100_000, 1_048_576, 3_000_000]

for (const lifetime of ['held', 'request'] as const) {
  for (const compat of [false, true]) {
    test(`lifetime ${lifetime}${compat ? ', compat' : ''}: exact, then ${kept(lifetime, compat) ? 'kept' : 'empty'}`, async (t) => {
      const s = await scene(t)
      await startApp(s, { plugin: { path: s.path, compat } })
      const earlier: number[] = []
      for (const size of SIZES) {
        const body = pattern(size, size)
        const seen = await post(s, `/collected/${lifetime}`, body)
        assert.deepEqual(seen, { earlier, bytes: size, sha256: sha256(body) })
        // The smallest are not worth reusing.
        earlier.push(kept(lifetime, compat) || size < 16_384 ? size : 0)
      }
    })
  }
}

test('a body over the bodyLimit is refused as by Fastify, and the app goes on', async (t) => {
  const s = await scene(t)
  await startApp(s)
  const { statusCode, code } = await post(s, '/collected/held', Buffer.alloc(4_000_001))
  assert.deepEqual({ statusCode, code }, { statusCode: 413, code: 'FST_ERR_CTP_BODY_TOO_LARGE' })
  const { bytes } = await post(s, '/collected/held', Buffer.alloc(10))
  assert.equal(bytes, 10)
})

test('a lifetime that does not exist is refused by name', async () => {
  assert.throws(() => shmesh.bufferParser({ lifetime: 'ever' as never }), {
    code: 'SHM_ERR_INVALID_ARG',
    message: /lifetime/
  })
})

test('inject, which is no connection, works with it too', async () => {
  const app = Fastify()
  app.addContentTypeParser('*', shmesh.bufferParser({ lifetime: 'request' }))
  app.post('/', async ({ body }) => (body as Buffer).toString())
  const { body } = await app.inject({
    method: 'POST',
    url: '/',
    headers: { 'content-type': 'application/octet-stream' },
    payload: Buffer.from('injected')
  })
  assert.equal(body, 'injected')
  await app.close()
})

function kept(lifetime: 'held' | 'request', compat: boolean): boolean {
  return lifetime === 'held' || compat
}

test('a body made in the memory of its client arrives exact, and is gone', async (t) => {
  const s = await scene(t)
  await startApp(s)
  const agent = agentFor(s)
  const get = async (path: string) => {
    const { body } = await agent.request({ origin: 'http://a', path, method: 'GET' })
    return Buffer.from(await body.arrayBuffer())
  }
  for (const size of [20_000, 1_000_000]) {
    assert.equal(sha256(await get(`/allocated/${size}`)), sha256(pattern(size)))
    assert.equal(String(await get('/left')), '0')
  }
  // Whoever came by a socket has none, and is served all the same.
  const plain = await plainGet(s.path, '/allocated/20000')
  assert.equal(plain.status, 200)
  assert.equal(String(await get('/left')), '20000')
})

test('a shared body goes to any number of clients, and its memory comes back', async (t) => {
  const s = await scene(t)
  const { app } = await startApp(s)
  const agent = agentFor(s)
  const get = async (path: string) => {
    const { body } = await agent.request({ origin: 'http://a', path, method: 'GET' })
    return Buffer.from(await body.arrayBuffer())
  }
  const expected = sha256(pattern(1_500_000))
  const bodies = await Promise.all(Array.from({ length: 12 }, () => get('/shared')))
  for (const body of bodies) assert.equal(sha256(body), expected)
  const session = () => agent.statistics().links[0]?.session
  await eventually('it is lent to nobody', () => session()?.bytesBorrowed === 0)
  const plain = await plainGet(s.path, '/shared')
  assert.equal(plain.status, 200)
  assert.equal(String(await get('/unshare')), 'done')
  assert.equal(sha256(await get('/shared')), expected)
  assert.ok(app.running)
})

interface Seen {
  readonly bytes?: number
  readonly statusCode?: number
  readonly code?: string
}

async function post(s: Scene, path: string, body: Buffer): Promise<Seen> {
  const agent = agentFor(s)
  const response = await agent.request({
    origin: 'http://a',
    path,
    method: 'POST',
    headers: { 'content-type': 'application/octet-stream' },
    body
  })
  return (await response.body.json()) as Seen
}
