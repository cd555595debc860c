import { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { CHUNK_BYTES, ORDERS, STREAM_BYTES } from './scenarios.ts'

const order = (id: string) => ({
  id,
  customer: 'c-81734',
  total: 1799,
  currency: 'EUR',
  open: true
})
const schema = {
  type: 'object',
  properties: {
    id: { type: 'string' },
    customer: { type: 'string' },
    total: { type: 'integer' },
    currency: { type: 'string' },
    open: { type: 'boolean' }
  }
}
const chunk = Buffer.alloc(CHUNK_BYTES, 'x')

/** What the app serves for the scenarios. */
export function serveScenarios(app: FastifyInstance): void {
  const list = Array.from({ length: ORDERS }, (_, i) => order(`o-${100 + i}`))
  app.get(
    '/orders',
    { schema: { response: { 200: { type: 'array', items: schema } } } },
    async () => list
  )
  app.get('/orders/:id', { schema: { response: { 200: schema } } }, async (request) =>
    order((request.params as { id: string }).id)
  )
  app.post('/orders', async (request, reply) => {
    const { customer, lines } = request.body as { customer: string; lines: unknown[] }
    reply.code(201)
    return { id: 'o-120', customer, lines: lines.length }
  })

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
