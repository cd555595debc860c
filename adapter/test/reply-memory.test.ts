/** Memory of `reply.shm.alloc` that is never sent. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { test } from 'node:test'
import Fastify, { type FastifyReply } from 'fastify'
import shmesh from '../fastify/index.ts'
import { attach } from '../http/index.ts'
import type { SessionStatistics, ShmStream } from '../index.ts'
import { agentFor } from './app.ts'
import { eventually } from './support/eventually.ts'
import { scene } from './support/scene.ts'

const BYTES = 100_000

/** Who keeps a Buffer keeps the collector from giving its memory back. */
const kept: Buffer[] = []

function inUse(sessions: readonly SessionStatistics[]): number {
  return sessions.reduce((sum, { slicesInUse }) => sum + slicesInUse, 0)
}

const SENDS: Record<string, (reply: FastifyReply, body: Buffer) => unknown> = {
  'sent whole': (_reply, body) => body,
  'sent as a part': (_reply, body) => body.subarray(0, 50_000),
  'the first piece of many': ({ raw }, body) => {
    raw.write(body)
    raw.end('more')
  }
}

for (const [name, send] of Object.entries(SENDS)) {
  test(`what is ${name} to a client that has left goes back at once`, async (t) => {
    const s = await scene(t)
    const app = Fastify()
    await app.register(shmesh, { path: s.path })
    s.defer(() => app.close())
    app.get('/', async (_request, reply) => {
      const body = reply.shm.alloc(BYTES)
      kept.push(body)
      const closed = once(reply.raw, 'close')
      leave.abort()
      await closed
      assert.equal(inUse(app.shm.statistics()), 1)
      reply.hijack()
      const sent = send(reply, body)
      if (sent !== undefined) reply.raw.end(sent)
      return reply
    })
    await app.ready()
    const leave = new AbortController()
    const { signal } = leave
    await assert.rejects(
      agentFor(s).request({ origin: 'http://a', path: '/', method: 'GET', signal })
    )
    await eventually('the memory is back', () => inUse(app.shm.statistics()) === 0)
    assert.equal(kept.pop()?.length, 0)
  })
}

test('HEAD takes none of it', async (t) => {
  const s = await scene(t)
  const app = Fastify()
  await app.register(shmesh, { path: s.path })
  s.defer(() => app.close())
  app.get('/', async (_request, reply) => {
    const body = reply.shm.allocUnsafe(BYTES)
    kept.push(body)
    return body
  })
  await app.ready()
  const { headers } = await agentFor(s).request({ origin: 'http://a', path: '/', method: 'HEAD' })
  assert.equal(headers['content-length'], String(BYTES))
  assert.equal(inUse(app.shm.statistics()), 0)
  assert.equal(kept.pop()?.length, BYTES)
})

test('a body that a response must not have goes back at once', async (t) => {
  const s = await scene(t)
  const server = createServer(({ url, socket }, response) => {
    const body = (socket as unknown as ShmStream).alloc(BYTES)
    kept.push(body)
    response.statusCode = url === '/304' ? 304 : 200
    if (url === '/304') response.write(body)
    response.end(url === '/304' ? undefined : body)
  })
  const served = await attach(server, { path: s.path })
  s.defer(() => served.close())
  for (const [method, path] of [
    ['HEAD', '/'],
    ['GET', '/304']
  ] as const) {
    await agentFor(s).request({ origin: 'http://a', path, method })
    assert.equal(inUse(served.statistics()), 0, method)
    assert.equal(kept.pop()?.length, 0)
  }
})
