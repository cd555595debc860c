import Fastify from 'fastify'
import shmesh from 'shmesh/fastify'

const app = Fastify({ logger: { base: { service: 'b' } } })

app.get('/greeting/:name', async (request) => {
  const [, traceId] = request.headers.traceparent.split('-')
  request.log.info({ traceId, client: request.headers['x-forwarded-for'] }, 'greeting')
  return { hello: request.params.name }
})

await app.register(shmesh, { path: `${process.env.SHMESH_DIR}/b.sock` })
await app.ready()
app.log.info('ready')
process.once('SIGTERM', () => app.close())
