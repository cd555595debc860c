import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import { dial, ok, quiet, startOrigin, startSimpleProxy } from './harness.ts'

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'

/** Resolves when `value` has not moved for many turns of the event loop. */
async function stillness(value: () => number): Promise<void> {
  let last = value()
  for (let turns = 0; turns < 500; turns++) {
    await new Promise((resolve) => setImmediate(resolve))
    if (value() === last) continue
    last = value()
    turns = 0
  }
}

for (const [name, head] of [
  ['of known length', 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart'],
  ['in chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n']
] as const) {
  test(`a response ${name} that is cut short breaks the client's connection`, async (t) => {
    const origin = await startOrigin(t, async (connection) => {
      await connection.head()
      connection.write(head)
      connection.stream.end()
    })
    const { port, proxy } = await startSimpleProxy(t, [origin.address])
    const client = await dial(t, port)
    client.write(GET)

    assert.ok(await client.brokenOff())
    assert.doesNotMatch(client.pending, /0\r\n\r\n$/)
    assert.equal(proxy.statistics().requests.failures.upstream_reset, 1)
  })
}

test('a reset is not the end of a response that only the connection ends', async (t) => {
  const origin = await startOrigin(t, async (connection) => {
    await connection.head()
    // Arrives together with the bytes.
    connection.write('HTTP/1.1 200 OK\r\n\r\npart')
    ;(connection.stream as Socket).resetAndDestroy()
  })
  const { port, proxy } = await startSimpleProxy(t, [origin.address])
  const client = await dial(t, port)
  client.write(GET)

  assert.ok(await client.brokenOff())
  assert.doesNotMatch(client.pending, /0\r\n\r\n$/)
  assert.equal(proxy.statistics().requests.failures.upstream_reset, 1)
})

test('an HTTP/1.0 client cannot take a truncated response for a whole one', async (t) => {
  const origin = await startOrigin(t, async (connection) => {
    await connection.head()
    connection.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n')
    connection.stream.end()
  })
  const { port } = await startSimpleProxy(t, [origin.address])
  const client = await dial(t, port)
  client.write('GET / HTTP/1.0\r\n\r\n')

  assert.ok(await client.brokenOff())
})

test('a pipelined response that is cut short leaves the one before it whole', async (t) => {
  // More than a client's kernel takes while it reads nothing, and no reason for the proxy to wait.
  const whole = 'x'.repeat(200_000)
  const origin = await startOrigin(t, async (connection) => {
    await connection.head()
    connection.write(ok(whole))
    await connection.head()
    connection.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart')
    connection.stream.end()
  })
  const { port, proxy } = await startSimpleProxy(t, [origin.address])
  const client = await dial(t, port)
  client.stream.pause()
  client.write(GET + GET)
  await quiet(() => proxy.statistics().requests.failures.upstream_reset === 1)
  client.stream.resume()

  await client.head()
  assert.equal(await client.take(whole.length), whole)
  assert.match(await client.rest(), /\r\n\r\npart$/)
})

test('a client that leaves during its upload takes the upstream request with it', async (t) => {
  const origin = await startOrigin(t, async (connection) => {
    await connection.head()
    await connection.rest()
  })
  const { port, proxy } = await startSimpleProxy(t, [origin.address])
  const client = await dial(t, port)
  client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nsome')
  await quiet(() => origin.connections[0] !== undefined)
  client.stream.destroy()
  await origin.connections[0]?.gone()
  await quiet(() => proxy.statistics().requests.active === 0)

  assert.equal(proxy.statistics().requests.failures.client_gone, 1)
  assert.equal(proxy.statistics().requests.status.none, 1)
})

test('a client that resets while it waits takes the upstream request with it', async (t) => {
  const origin = await startOrigin(t, async (connection) => {
    await connection.head()
    await connection.rest()
  })
  const { port, proxy } = await startSimpleProxy(t, [origin.address])
  const client = await dial(t, port)
  client.write(GET)
  await quiet(() => origin.connections[0] !== undefined)
  ;(client.stream as Socket).resetAndDestroy()
  await origin.connections[0]?.gone()
  await quiet(() => proxy.statistics().requests.active === 0)

  assert.equal(proxy.statistics().requests.failures.client_gone, 1)
})

test('a client that leaves during a download takes the upstream request with it', async (t) => {
  const origin = await startOrigin(t, async (connection) => {
    await connection.head()
    connection.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
    const timer = setInterval(() => connection.write('4\r\npart\r\n'), 1)
    await connection.gone()
    clearInterval(timer)
  })
  const { port, proxy } = await startSimpleProxy(t, [origin.address])
  const client = await dial(t, port)
  client.write(GET)
  await client.head()
  client.stream.destroy()
  await origin.connections[0]?.gone()
  await quiet(() => proxy.statistics().requests.active === 0)

  assert.equal(proxy.statistics().requests.failures.client_gone, 1)
})

test('a slow reader holds back its own upstream, and memory stays bounded', async (t) => {
  const total = 64 * 1024 * 1024
  let written = 0
  const origin = await startOrigin(t, async ({ stream, head }) => {
    await head.call(origin.connections[0])
    stream.write(`HTTP/1.1 200 OK\r\nContent-Length: ${total}\r\n\r\n`)
    const piece = Buffer.alloc(1024 * 1024, 'x')
    while (written < total) {
      written += piece.length
      if (!stream.write(piece)) await once(stream, 'drain')
    }
  })
  const { port } = await startSimpleProxy(t, [origin.address])
  const client = await dial(t, port)
  client.stream.pause()
  client.write(GET)
  // Both kernels' buffers and the proxy's are full.
  await stillness(() => written)
  assert.ok(written < total / 2, `${written} of ${total} bytes left the origin`)

  let received = 0
  client.stream.on('data', (chunk: Buffer) => {
    received += chunk.length
  })
  client.stream.resume()
  await quiet(() => received > total)
  assert.equal(written, total)
})

test('a slow upstream holds back its own client', async (t) => {
  const total = 64 * 1024 * 1024
  const origin = await startOrigin(t, async (connection) => {
    connection.stream.pause()
    await new Promise<void>((resolve) => {
      release = resolve
    })
    connection.stream.resume()
    await connection.head()
    await connection.take(total)
    connection.write(ok('got it'))
  })
  let release: (() => void) | undefined
  const { port } = await startSimpleProxy(t, [origin.address])
  const client = await dial(t, port)
  client.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${total}\r\n\r\n`)
  const piece = Buffer.alloc(1024 * 1024, 'x')
  let written = 0
  const writing = (async () => {
    while (written < total) {
      written += piece.length
      if (!client.stream.write(piece)) await once(client.stream, 'drain')
    }
  })()
  await stillness(() => written)
  assert.ok(written < total / 2, `${written} of ${total} bytes left the client`)

  release?.()
  await writing
  await client.head()
  assert.equal(await client.take(6), 'got it')
})
