/**
 * The app of the demo, a process of its own: a Fastify server on TCP and, through the plugin, on
 * the socket path given as its only argument. Tells its parent `{ port }`.
 */
import fastify from 'fastify'
import shmesh from '../../adapter/fastify/index.ts'
import { BODY_BYTES, bodyOf, bodyPath, UPLOAD_ANSWER, VARIANTS } from './bodies.ts'

const [path] = process.argv.slice(2)
const app = fastify({ bodyLimit: 2 * Math.max(...BODY_BYTES), forceCloseConnections: 'idle' })

app.addContentTypeParser('application/octet-stream', { parseAs: 'buffer' }, (_, body, done) => {
  done(null, body)
})

for (const bytes of BODY_BYTES) {
  for (let variant = 0; variant < VARIANTS; variant++) {
    const body = bodyOf(bytes, variant)
    app.get(bodyPath(bytes, variant), async (_, reply) => {
      reply.type('application/octet-stream')
      return body
    })
    app.route({
      method: ['POST', 'PUT'],
      url: bodyPath(bytes, variant),
      handler: async (request, reply) => {
        if (body.equals(request.body as Buffer)) return UPLOAD_ANSWER
        reply.code(422)
        return 'the body is not the one that was sent\n'
      }
    })
  }
}

app.get('/stats', async (_, reply) => {
  reply.type('application/json')
  return JSON.stringify({ sessions: app.shm.statistics() })
})

await app.register(shmesh, { path: path as string })
await app.listen({ host: '127.0.0.1', port: 0 })
process.once('SIGTERM', () => void app.close())
const address = app.server.address()
process.send?.({ port: typeof address === 'object' ? address?.port : undefined })
