/** The app of these tests, a process of its own: `app.js PATH`. Tells its parent `{ ready }`. */
import type { Readable } from 'node:stream'
import fastify from 'fastify'
import shmesh from '../../adapter/fastify/index.ts'

const SMALL = Buffer.alloc(64, 'x')
const LARGE = Buffer.alloc(1024 * 1024, 'x')

const app = fastify({ forceCloseConnections: 'idle' })
app.addContentTypeParser('application/octet-stream', (_request, payload, done) =>
  done(null, payload)
)
app.get('/buffer/64/0', async () => SMALL)
app.get(`/buffer/${LARGE.length}/0`, async () => LARGE)
for (const path of ['/sink', '/echo-length']) {
  app.post(path, async ({ body }) => {
    let bytes = 0
    for await (const chunk of body as Readable) bytes += (chunk as Buffer).length
    return String(bytes)
  })
}
await app.register(shmesh, { path: process.argv[2] as string })
await app.ready()
process.once('SIGTERM', () => void app.close())
process.send?.({ ready: true })
