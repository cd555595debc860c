import Fastify from 'fastify'
import shmesh from 'shmesh/fastify'

const app = Fastify({ logger: true })
app.get('/hello/:name', async (request) => ({ hello: request.params.name }))

await app.register(shmesh)
await app.listen({ port: Number(process.env.PORT ?? 3000) })
process.once('SIGTERM', () => app.close())
