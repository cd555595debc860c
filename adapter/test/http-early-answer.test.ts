import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { test } from 'node:test'
import { attach } from '../http/index.ts'
import { connect } from '../shmipc/index.ts'
import { scene } from './support/scene.ts'

test('a body that comes in the turn of its response is whole for who listens', async (t) => {
  const s = await scene(t)
  const path = `${s.path}.early`
  let bytes = 0
  const server = createServer((request, response) => {
    request.once('data', () => {
      request.pause()
      setImmediate(() => request.resume())
    })
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length
    })
    request.on('end', () => server.emit('read'))
    response.end('early')
  })
  const attachment = await attach(server, { path })
  const session = await connect(attachment.address)
  s.defer(async () => {
    session.destroy()
    await attachment.close()
  })
  const read = once(server, 'read')
  const stream = session.openStream()
  stream.on('error', () => undefined).resume()
  stream.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 40000\r\n\r\n')
  stream.write(Buffer.alloc(20_000))
  stream.write(Buffer.alloc(20_000))
  await read
  assert.equal(bytes, 40_000)
})
