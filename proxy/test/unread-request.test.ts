import assert from 'node:assert/strict'
import { test } from 'node:test'
import { listen, reportThread, type ShmStream } from '../../adapter/shmipc/index.ts'
import { atEnd, dial, ok, quiet, startSimpleProxy, temporaryDirectory } from './harness.ts'

const CHUNK = `4000\r\n${'x'.repeat(0x4000)}\r\n`

/** Of all streams to the app: what was written, and what of it waits for the app to read. */
function sent(): { bytes: number; waiting: number } {
  const sessions = reportThread().sessions.filter(({ role }) => role === 'client')
  const streams = sessions.flatMap(({ perStream }) => perStream)
  const waiting = streams.reduce((sum, { waitingToWrite }) => sum + waitingToWrite, 0)
  return { waiting, bytes: streams.reduce((sum, one) => sum + one.bytesWritten, waiting) }
}

test('a connection whose server has answered without reading on is not used again', async (t) => {
  const address = `shm://${temporaryDirectory(t)}/app.sock`
  const listener = await listen({ path: address })
  atEnd(t, () => listener.close())
  const streams: ShmStream[] = []
  listener.on('stream', (stream) => {
    streams.push(stream)
    stream.on('error', () => undefined)
    stream.once('data', () => (streams.length === 1 ? stream.pause() : stream.end(ok('second'))))
  })
  const { port } = await startSimpleProxy(t, [address])
  const client = await dial(t, port)
  client.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n')
  await quiet(() => streams.length === 1)
  const add = async (text: string) => {
    const { bytes } = sent()
    client.write(text)
    await quiet(() => sent().bytes >= bytes + text.length)
  }
  while (sent().waiting === 0) await add(CHUNK)
  await add('0\r\n\r\n')
  assert.ok(sent().waiting > 0)

  streams[0]!.write(ok('first'))
  await client.head()
  assert.equal(await client.take(5), 'first')
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  await client.head()
  assert.equal(await client.take(6), 'second')
})
