import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import type { Bytes } from './bytes.ts'
import { atEnd, dial, type Harness, ok, quiet, startOrigin, startSimpleProxy } from './harness.ts'

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'

test('an answer before the end of the request is passed on, and the connection lives', async (t) => {
  const origin = await startOrigin(t, async (connection) => {
    const head = await connection.head()
    connection.write(ok(head.startsWith('POST') ? 'no' : 'ok'))
  })
  const { port } = await startSimpleProxy(t, [origin.address])
  const client = await dial(t, port)
  client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nsome')
  await client.head()
  assert.equal(await client.take(2), 'no')
  client.write(`bytes!${GET}`)
  await client.head()
  assert.equal(await client.take(2), 'ok')
  // The first upstream connection still owed a request, so it was not used again.
  assert.equal(origin.connections.length, 2)
})

test('a short answer to a body of which much is missing says that it is the last', async (t) => {
  const origin = await startOrigin(t, async (connection) => {
    const status = /^POST \/(\d+) /.exec(await connection.head())?.[1]
    const body = status === '413' ? 'too large' : 'x'.repeat(100_000)
    connection.write(`HTTP/1.1 ${status} \r\nContent-Length: ${body.length}\r\n\r\n${body}`)
  })
  const { port } = await startSimpleProxy(t, [origin.address])
  const answer = async (path: string, bytes: number) => {
    const client = await dial(t, port)
    client.write(`POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: ${bytes}\r\n\r\nsome`)
    return client.head()
  }
  assert.match(await answer('/413', 1_000_000), /^HTTP\/1\.1 413 .*\r\nConnection: close\r\n/s)
  // What little is missing is read, and who says so much may be reading.
  assert.doesNotMatch(await answer('/413', 100_000), /Connection: close/)
  assert.doesNotMatch(await answer('/200', 1_000_000), /Connection: close/)
})

/** A client in the middle of its upload when the upstream says `answer` and resets the connection. */
async function answeredWithReset(t: TestContext, answer: string): Promise<[Bytes, Harness]> {
  const origin = await startOrigin(t, async (connection) => {
    await connection.until('\r\n\r\nsome')
    connection.stream.pause()
  })
  const harness = await startSimpleProxy(t, [origin.address])
  const client = await dial(t, harness.port)
  client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nsome')
  await quiet(() => origin.connections[0]?.stream.isPaused() === true)
  // What the proxy finds out first is that it cannot write any more.
  client.write('more')
  const upstream = origin.connections[0]!.stream as Socket
  upstream.write(answer)
  upstream.resetAndDestroy()
  return [client, harness]
}

test('an answer arrives, though its upstream resets the connection behind it', async (t) => {
  const body = 'too large'.repeat(3000)
  const answer = `HTTP/1.1 413 \r\nContent-Length: ${body.length}\r\n\r\n${body}`
  const [client, { proxy }] = await answeredWithReset(t, answer)
  assert.match(await client.head(), /^HTTP\/1\.1 413 /)
  assert.equal(await client.take(body.length), body)
  assert.deepEqual(proxy.statistics().requests.failures, {})
})

test('a reset does not end an answer that only the connection ends', async (t) => {
  const [client] = await answeredWithReset(t, 'HTTP/1.1 413 \r\n\r\ntoo large')
  assert.ok(await client.brokenOff())
  assert.doesNotMatch(client.pending, /0\r\n\r\n$/)
})

test('a client that goes on with a huge body after its answer is cut off', async (t) => {
  const origin = await startOrigin(t, async (connection) => {
    await connection.head()
    connection.write(ok('no'))
  })
  const { port } = await startSimpleProxy(t, [origin.address])
  const client = await dial(t, port)
  client.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${2 ** 30}\r\n\r\n`)
  await client.head()
  assert.equal(await client.take(2), 'no')
  const piece = Buffer.alloc(64 * 1024)
  const writing = setInterval(() => client.stream.write(piece), 1)
  atEnd(t, () => clearInterval(writing))
  await client.rest()
  clearInterval(writing)
})

test('a body withheld for a 100 that never came does not become the next request', async (t) => {
  const origin = await startOrigin(t, async (connection) => {
    await connection.head()
    connection.write('HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n')
  })
  const { port } = await startSimpleProxy(t, [origin.address])
  const client = await dial(t, port)
  client.write(
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 40\r\nExpect: 100-continue\r\n\r\n' +
      'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n'
  )
  assert.match(await client.rest(), /^HTTP\/1\.1 417 .*Connection: close\r\n\r\n$/s)
  assert.equal(origin.connections.length, 1)
})

test('both directions stream at the same time', async (t) => {
  const origin = await startOrigin(t, async (connection) => {
    await connection.head()
    connection.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
    for (;;) {
      const size = await connection.until('\r\n')
      const data = await connection.until('\r\n')
      connection.write(size + data)
      if (size === '0\r\n') return
    }
  })
  const { port } = await startSimpleProxy(t, [origin.address])
  const client = await dial(t, port)
  client.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n')
  await client.head()
  for (const word of ['one', 'two', 'three']) {
    const chunk = `${word.length.toString(16)}\r\n${word}\r\n`
    client.write(chunk)
    assert.equal(await client.take(chunk.length), chunk)
  }
  client.write('0\r\n\r\n')
  assert.equal(await client.take(5), '0\r\n\r\n')
})
