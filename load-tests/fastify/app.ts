/**
 * The app, a process of its own: `app.js shm|socket PATH`. Serves the same routes over either, and
 * answers each message of its parent by the CPU it has used.
 */
import Fastify from 'fastify'
import shmesh from '../../adapter/fastify/index.ts'
import { serveOrders } from '../sidecar/orders.ts'
import type { Transport } from './cells.ts'

export interface AppMessage {
  /** User and system, all threads. */
  readonly cpuMicroseconds: number
}

const [transport, path] = process.argv.slice(2) as [Transport, string]
const app = Fastify({ bodyLimit: 4 * 1024 * 1024 })

const bodies = new Map([64, 1024 * 1024].map((bytes) => [String(bytes), Buffer.alloc(bytes, 'x')]))
app.get('/bytes/:count', (request, reply) => {
  reply.type('application/octet-stream')
  reply.send(bodies.get((request.params as { count: string }).count))
})

// One body for all, where the transport has a way to.
let one: Buffer = bodies.get(String(1024 * 1024))!
app.get('/shared', (_request, reply) => {
  reply.type('application/octet-stream').send(one)
})
app.get('/made', (_request, reply) => {
  const body =
    transport === 'shm' ? reply.shm.allocUnsafe(1024 * 1024) : Buffer.allocUnsafe(1024 * 1024)
  reply.type('application/octet-stream').send(body.fill('x'))
})

serveOrders(app, 20)

const sizeOf = async ({ body }: { body: unknown }) => ({ bytes: (body as Buffer).length })
app.register(async (scope) => {
  scope.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
  scope.post('/stock', sizeOf)
})
app.register(async (scope) => {
  scope.addContentTypeParser('*', shmesh.bufferParser())
  scope.post('/held', sizeOf)
})
app.register(async (scope) => {
  scope.addContentTypeParser('*', shmesh.bufferParser({ lifetime: 'request' }))
  scope.post('/lent', sizeOf)
})

if (transport === 'shm') {
  await app.register(shmesh, { path })
  one = app.shm.share(one)
  await app.ready()
} else {
  await app.listen({ path })
}

function say(): void {
  const { user, system } = process.cpuUsage()
  process.send!({ cpuMicroseconds: user + system } satisfies AppMessage)
}

process.on('message', say)
process.once('SIGTERM', async () => {
  await app.close()
  process.channel?.unref()
})
say()
