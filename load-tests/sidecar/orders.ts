import type { FastifyInstance } from 'fastify'

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

/** Small JSON as services exchange it: a list of `count` orders, one of them, a new one. */
export function serveOrders(app: FastifyInstance, count: number): void {
  const list = Array.from({ length: count }, (_, i) => order(`o-${100 + i}`))
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
}
