/** A proxy made of Fastify's own parts, a process of its own: `http-proxy.js PATH`. */
import proxy from '@fastify/http-proxy'
import fastify from 'fastify'

const [path] = process.argv.slice(2)
const app = fastify({ forceCloseConnections: 'idle' })
await app.register(proxy, {
  upstream: `unix+http://${encodeURIComponent(path as string)}`,
  undici: { connections: 256 }
})
await app.listen({ host: '127.0.0.1', port: 0 })
process.once('SIGTERM', async () => {
  await app.close()
  process.channel?.unref()
})
const address = app.server.address()
process.send?.({ port: typeof address === 'object' ? address?.port : undefined })
