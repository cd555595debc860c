import { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { serveOrders } from './orders.ts'
import { CHUNK_BYTES, ORDERS, STREAM_BYTES } from './scenarios.ts'

const chunk = Buffer.alloc(CHUNK_BYTES, 'x')

/** What the app serves for the scenarios. */
export function serveScenarios(app: FastifyInstance): void {
  serveOrders(app, ORDERS)
  app.get('/stream', async (_, reply) => {
    reply.header('content-length', STREAM_BYTES)
    return reply.send(Readable.from(chunks()))
  })
  app.register(async (scope) => {
    scope.addContentTypeParser('application/octet-stream', (_request, payload, done) =>
      done(null, payload)
    )
    scope.post('/sink', { bodyLimit: STREAM_BYTES }, async ({ body }) => {
      let bytes = 0
      for await (const part of body as Readable) bytes += (part as Buffer).length
      return { bytes }
    })
    scope.post('/echo', { bodyLimit: STREAM_BYTES }, async ({ body }, reply) => {
      reply.header('content-length', STREAM_BYTES)
      return reply.send(body)
    })
  })
}

function* chunks(): Generator<Buffer> {
  for (let sent = 0; sent < STREAM_BYTES; sent += CHUNK_BYTES) yield chunk
}
