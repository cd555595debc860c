/**
 * The app that is abused, a process of its own: Fastify on the socket path given as its argument.
 * Every answer is made of the request it belongs to. Tells its parent `{ ready: true }`.
 */
import fastify from 'fastify'
import shmesh from '../../adapter/fastify/index.ts'
import { fill } from '../soak/pattern.ts'

const [path] = process.argv.slice(2)
const app = fastify({ bodyLimit: 16 * 1024 * 1024, forceCloseConnections: 'idle' })

app.addContentTypeParser('application/octet-stream', { parseAs: 'buffer' }, (_, body, done) => {
  done(null, body)
})
app.addContentTypeParser('application/x-stream', (_, payload, done) => done(null, payload))

/** What was sent, whole or as it comes. */
app.post('/echo/:id', async (request, reply) => {
  reply.header('x-id', (request.params as { id: string }).id)
  reply.type('application/octet-stream')
  return request.body
})

app.get('/bytes/:seed/:length', async (request, reply) => {
  const { seed, length } = request.params as Record<string, string>
  const body = Buffer.allocUnsafe(Number(length))
  fill(body, Number(seed), 0)
  reply.header('x-id', seed as string)
  reply.type('application/octet-stream')
  return body
})

await app.register(shmesh, { path: path as string, takeover: true })
await app.ready()
process.once('SIGTERM', () => void app.close())
process.send?.({ ready: true })
