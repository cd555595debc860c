/** Our ends of the interop tests; what they hold is checked when the test ends. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import Fastify, { type FastifyInstance } from 'fastify'
import shmesh from '../../fastify/index.ts'
import {
  type ConnectOptions,
  connect,
  type ListenOptions,
  listen,
  type ShmListener,
  type ShmSession,
  type ShmStream
} from '../../shmipc/index.ts'
import { ShmAgent } from '../../undici/index.ts'
import { eventually } from '../support/eventually.ts'
import type { Scene } from '../support/scene.ts'

/** Our listener, which sends back what comes. */
export async function echoServer(
  scene: Scene,
  options: Partial<ListenOptions> = {}
): Promise<ShmListener> {
  const listener = await listen({ path: scene.path, ...options })
  listener.on('stream', (stream) => {
    // A client may end a stream with bytes on their way.
    stream.on('error', () => undefined)
    stream.pipe(stream)
  })
  scene.defer(async () => {
    await listener.close()
    for (const session of listener.sessions) session.destroy()
  })
  return listener
}

/** Our session with a foreign server; settled at the end. */
export async function sessionTo(
  scene: Scene,
  address: string,
  options: ConnectOptions = {}
): Promise<ShmSession> {
  const session = await connect(address, options)
  scene.defer(() => session.destroy())
  assert.equal(session.peer, 'shmipc')
  return session
}

/** No stream is open and this end holds no slice, neither its own nor the peer's. */
export async function settled(sessions: Iterable<ShmSession>): Promise<void> {
  for (const session of sessions) {
    await eventually(
      () => `nothing is held: ${JSON.stringify(session.statistics())}`,
      () => {
        const { streams, lists = [], leases, keptBytes } = session.statistics()
        const held = lists.reduce((sum, list) => sum + list.held + list.borrowed, 0)
        return streams + held + leases + keptBytes === 0
      }
    )
  }
}

/** A Fastify app that echoes; behind the plugin only. */
export async function app(scene: Scene, path: string = scene.path): Promise<FastifyInstance> {
  const fastify = Fastify({ bodyLimit: 16 * 1024 * 1024, forceCloseConnections: 'idle' })
  await fastify.register(shmesh, { path })
  fastify.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => {
    done(null, body)
  })
  fastify.post('/echo', (request, reply) => reply.send(request.body))
  fastify.get('/hello', () => 'hello from Fastify')
  fastify.get('/bytes/:count', (request, reply) => {
    const { count } = request.params as { count: string }
    return reply.send(Buffer.alloc(Number(count), 'x'))
  })
  await fastify.ready()
  scene.defer(() => fastify.close())
  return fastify
}

export function agent(scene: Scene, path: string = scene.path): ShmAgent {
  const made = new ShmAgent(`shm://${path}`)
  scene.defer(() => made.destroy())
  return made
}

/** Writes `body` and reads as many bytes. The stream must not flow. */
export async function exchange(stream: ShmStream, body: Buffer): Promise<Buffer> {
  stream.write(body)
  const parts: Buffer[] = []
  for (let got = 0; got < body.length; ) {
    const part: Buffer | null = stream.read()
    if (part === null) {
      await once(stream, 'readable')
      continue
    }
    parts.push(part)
    got += part.length
  }
  return Buffer.concat(parts)
}
