import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  answering,
  dial,
  ok,
  quiet,
  roundTrip,
  startOrigin,
  startSimpleProxy,
  unusedAddress
} from './harness.ts'

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'
const put = (body: string) =>
  `PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`
const post = (body: string) =>
  `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`

test('nobody listens: 503 that says where, at once', async (t) => {
  const address = await unusedAddress(t)
  const { port, proxy } = await startSimpleProxy(t, [address])
  const client = await dial(t, port)
  client.write(GET)

  const head = await client.head()
  assert.match(head, /^HTTP\/1\.1 503 .*x-shmesh-reason: upstream_unreachable/is)
  const body = await client.until('\n')
  assert.match(body, new RegExp(`^upstream app at ${address} unreachable: .*ECONNREFUSED`))
  assert.equal(proxy.statistics().requests.failures.upstream_unreachable, 1)
})

test('an endpoint that refuses is made up for by another, whatever the method', async (t) => {
  const origin = await startOrigin(
    t,
    answering(() => ok('x'))
  )
  const { port, proxy } = await startSimpleProxy(t, [await unusedAddress(t), origin.address])
  const client = await dial(t, port)
  for (let i = 0; i < 20; i++) {
    client.write(post('body'))
    assert.match(await client.head(), /^HTTP\/1\.1 200/)
    await client.take(1)
  }
  const [refusing] = proxy.statistics().clusters[0]?.endpoints ?? []
  assert.equal(refusing?.ejected, true)
  assert.ok((refusing?.requests ?? 20) < 10, 'the endpoint that refuses is not passed over')
})

test('a kept connection that turns out to be dead costs an idempotent request nothing', async (t) => {
  const origin = await startOrigin(t, async (connection, index) => {
    await connection.head()
    connection.write(ok(String(index)))
    await connection.head()
    connection.stream.destroy()
  })
  const { port, proxy } = await startSimpleProxy(t, [origin.address])
  const client = await dial(t, port)
  client.write(GET)
  await client.head()
  assert.equal(await client.take(1), '0')
  client.write(GET)
  assert.match(await client.head(), /^HTTP\/1\.1 200/)
  assert.equal(await client.take(1), '1')
  assert.equal(proxy.statistics().requests.retries, 1)
})

test('a request body is sent once more from what was kept', async (t) => {
  const body = 'b'.repeat(500_000)
  const broken = await startOrigin(t, async (connection) => {
    await connection.take(100_000)
    connection.stream.destroy()
  })
  const origin = await startOrigin(t, async (connection) => {
    for (;;) {
      await connection.head()
      connection.write(ok(String((await connection.take(body.length)) === body)))
    }
  })
  const { port } = await startSimpleProxy(t, [broken.address, origin.address])
  for (let i = 0; i < 2; i++) {
    const client = await dial(t, port)
    client.write(put(body))
    await client.head()
    assert.equal(await client.take(4), 'true')
  }
  assert.ok(broken.connections.length > 0)
})

test('a chunked body is sent once more, and the rest of it follows', async (t) => {
  const origin = await startOrigin(t, async (connection, index) => {
    await connection.head()
    await connection.until('first\r\n')
    if (index === 0) {
      connection.stream.destroy()
      return
    }
    assert.equal(await connection.until('0\r\n\r\n'), '6\r\nsecond\r\n0\r\n\r\n')
    connection.write(ok('both'))
  })
  const { port, proxy } = await startSimpleProxy(t, [origin.address])
  const client = await dial(t, port)
  client.write('PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n')
  await quiet(() => proxy.statistics().requests.retries === 1)
  client.write('6\r\nsecond\r\n0\r\n\r\n')
  await client.head()
  assert.equal(await client.take(4), 'both')
})

for (const body of ['body', '']) {
  test(`a POST with ${body.length} bytes of body is not sent twice`, async (t) => {
    const origin = await startOrigin(t, async (connection) => {
      await connection.until(`\r\n\r\n${body}`)
      connection.stream.destroy()
    })
    const { port, proxy } = await startSimpleProxy(t, [origin.address])
    const client = await dial(t, port)
    client.write(post(body))
    assert.match(await client.head(), /^HTTP\/1\.1 502 .*x-shmesh-reason: upstream_reset/is)
    assert.equal(origin.connections.length, 1)
    assert.equal(proxy.statistics().requests.retries, 0)
  })
}

test('a body beyond retryBufferLimit is not sent again', async (t) => {
  const body = 'b'.repeat(300_000)
  const origin = await startOrigin(t, async (connection) => {
    await connection.take(body.length)
    connection.stream.destroy()
  })
  const cluster = { retryBufferLimit: '64KiB' }
  const { port } = await startSimpleProxy(t, [origin.address], { cluster })
  const client = await dial(t, port)
  client.write(put(body))
  assert.match(await client.head(), /^HTTP\/1\.1 502/)
  assert.equal(origin.connections.length, 1)
})

test('no retry once a byte of the answer has come', async (t) => {
  const origin = await startOrigin(t, async (connection) => {
    await connection.head()
    connection.write('HTTP/1.1 2')
    connection.stream.end()
  })
  const { port } = await startSimpleProxy(t, [origin.address])
  const client = await dial(t, port)
  client.write(GET)
  assert.match(await client.head(), /^HTTP\/1\.1 502/)
  assert.match(await client.until('\n'), /in the middle of the response/)
  assert.equal(origin.connections.length, 1)
})

test('retries: 0 means one attempt', async (t) => {
  const origin = await startOrigin(t, async (connection) => {
    await connection.head()
    connection.stream.destroy()
  })
  const { port } = await startSimpleProxy(t, [origin.address], { cluster: { retries: 0 } })
  const answer = await roundTrip(t, port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  assert.match(answer, /^HTTP\/1\.1 502/)
  assert.equal(origin.connections.length, 1)
})

test('a response that is no HTTP is a 502, and its connection is not used again', async (t) => {
  const origin = await startOrigin(t, async (connection) => {
    await connection.head()
    connection.write('SSH-2.0-OpenSSH\r\n\r\n')
    await connection.gone()
  })
  const { port } = await startSimpleProxy(t, [origin.address])
  const answer = await roundTrip(t, port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  assert.match(answer, /^HTTP\/1\.1 502 .*x-shmesh-reason: upstream_malformed/is)
})

test('bytes behind a response are never the answer to the next request', async (t) => {
  const origin = await startOrigin(t, async (connection, index) => {
    await connection.head()
    connection.write(`${ok(String(index))}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil`)
  })
  const { port } = await startSimpleProxy(t, [origin.address])
  const client = await dial(t, port)
  for (const expected of ['0', '1', '2']) {
    client.write(GET)
    await client.head()
    assert.equal(await client.take(1), expected)
  }
})

test('requests beyond the connection limit wait, those beyond the queue are turned away', async (t) => {
  let open = 0
  const releases: (() => void)[] = []
  const origin = await startOrigin(t, async (connection) => {
    open++
    for (;;) {
      await connection.head()
      await new Promise<void>((resolve) => releases.push(resolve))
      connection.write(ok('x'))
    }
  })
  const cluster = { connections: 2, pending: 1 }
  const { port, proxy } = await startSimpleProxy(t, [origin.address], { cluster })
  const clients = await Promise.all([dial(t, port), dial(t, port), dial(t, port)])
  for (const client of clients) client.write(GET)
  await quiet(() => releases.length === 2 && proxy.statistics().requests.active === 3)

  const late = await dial(t, port)
  late.write(GET)
  assert.match(await late.head(), /^HTTP\/1\.1 503 .*x-shmesh-reason: upstream_overloaded/is)
  for (let done = 0; done < 3; done++) {
    await quiet(() => releases.length > 0)
    releases.shift()?.()
  }
  for (const client of clients) assert.match(await client.head(), /^HTTP\/1\.1 200/)
  assert.equal(open, 2)
})
