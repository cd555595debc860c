import Fastify from 'fastify'
import shmesh from 'shmesh/fastify'
import { Readings } from './readings.js'

const USUAL_BYTES = 256 * 1024

const app = Fastify()
await app.register(shmesh)

app.get('/readings/:count', (request, reply) => {
  const celsius = Array.from({ length: Number(request.params.count) }, (_, i) => 20 + i / 1000)
  const readings = { sensor: 'roof', celsius }

  // Encoded where the client reads it: sending copies nothing. What is left over is not sent.
  let body = reply.shm.allocUnsafe(USUAL_BYTES)
  let end = Readings.encode(readings, body)
  if (end < 0) {
    // avsc tells how many bytes were missing.
    body = reply.shm.allocUnsafe(USUAL_BYTES - end)
    end = Readings.encode(readings, body)
  }
  return reply.type('avro/binary').send(body.subarray(0, end))
})

await app.ready()
console.log(`serving ${app.shm.address}`)
process.once('SIGTERM', () => app.close())
