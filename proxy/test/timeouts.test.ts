import assert from 'node:assert/strict'
import { test } from 'node:test'
import { answering, atEnd, dial, ok, quiet, startOrigin, startSimpleProxy } from './harness.ts'

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'

test('an upstream that does not begin its answer in time is a 504', async (t) => {
  const origin = await startOrigin(t, async (connection) => {
    await connection.gone()
  })
  const cluster = { timeouts: { head: '1s' } }
  const { port } = await startSimpleProxy(t, [origin.address], { cluster })
  const client = await dial(t, port)
  client.write(GET)
  assert.match(await client.head(), /^HTTP\/1\.1 504 .*x-shmesh-reason: upstream_timeout/is)
  assert.match(await client.until('\n'), /did not begin its response within 1000 ms/)
  await quiet(() => origin.connections.length === 1)
  assert.equal(await origin.connections[0]?.gone(), 'ended')
})

test('an upstream that does not finish its answer in time aborts it', async (t) => {
  const origin = await startOrigin(t, async (connection) => {
    await connection.head()
    connection.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf')
    await connection.gone()
  })
  const cluster = { timeouts: { request: '2s' } }
  const { port } = await startSimpleProxy(t, [origin.address], { cluster })
  const client = await dial(t, port)
  client.write(GET)
  await client.head()
  assert.ok(await client.brokenOff())
})

test('a head that trickles is answered 408', async (t) => {
  const origin = await startOrigin(
    t,
    answering(() => ok('x'))
  )
  const listener = { timeouts: { head: '100ms' } }
  const { port, proxy } = await startSimpleProxy(t, [origin.address], { listener })
  const client = await dial(t, port)
  const timer = setInterval(() => client.write('X-A: b\r\n'), 20)
  atEnd(t, () => clearInterval(timer))
  client.write('GET / HTTP/1.1\r\nHost: a\r\n')
  assert.match(await client.rest(), /^HTTP\/1\.1 408 .*Connection: close/s)
  clearInterval(timer)
  assert.equal(proxy.statistics().requests.failures.request_timeout, 1)
})

test('a connection without a request, and one between requests, is closed in silence', async (t) => {
  const origin = await startOrigin(
    t,
    answering(() => ok('x'))
  )
  const listener = { timeouts: { head: '2s', idle: '1s' } }
  const { port } = await startSimpleProxy(t, [origin.address], { listener })
  const silent = await dial(t, port)
  const client = await dial(t, port)
  client.write(GET)
  await client.head()
  await client.take(1)
  assert.equal(await client.rest(), '')
  assert.equal(await silent.rest(), '')
})

test('a body that stops is answered 408, and the upstream let go', async (t) => {
  const origin = await startOrigin(t, async (connection) => {
    await connection.rest()
  })
  const listener = { timeouts: { body: '100ms' } }
  const { port } = await startSimpleProxy(t, [origin.address], { listener })
  const client = await dial(t, port)
  client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf')
  assert.match(await client.rest(), /^HTTP\/1\.1 408 .*Connection: close/s)
  await origin.connections[0]?.gone()
})

test('a body that trickles for too long is answered 408, one that comes in time is not', async (t) => {
  const origin = await startOrigin(t, async (connection) => {
    const head = await connection.head()
    if (/length: 10\r/i.test(head)) connection.write(ok(await connection.take(10)))
    await connection.gone()
  })
  const listener = { timeouts: { body: '20s', request: '500ms' } }
  const { port, proxy } = await startSimpleProxy(t, [origin.address], { listener })
  const post = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length:'
  const quick = await dial(t, port)
  quick.write(`${post} 10\r\n\r\n0123456789`)
  assert.match(await quick.head(), /^HTTP\/1\.1 200 /)

  const slow = await dial(t, port)
  slow.write(`${post} 1000000\r\n\r\n`)
  const timer = setInterval(() => slow.write('x'), 20)
  atEnd(t, () => clearInterval(timer))
  const answer = await slow.head()
  clearInterval(timer)
  assert.match(answer, /^HTTP\/1\.1 408 .*x-shmesh-reason: request_timeout/is)
  slow.stream.destroy()
  await quiet(() => proxy.statistics().requests.active === 0)
})

test('an idle upstream connection is closed before the peer would', async (t) => {
  const origin = await startOrigin(
    t,
    answering(() => 'HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 1\r\n\r\nx')
  )
  const { port } = await startSimpleProxy(t, [origin.address])
  const client = await dial(t, port)
  for (let i = 0; i < 2; i++) {
    client.write(GET)
    await client.head()
    await client.take(1)
  }
  assert.equal(origin.connections.length, 2)
})

test('an idle upstream connection is closed after the configured time', async (t) => {
  const origin = await startOrigin(
    t,
    answering(() => ok('x'))
  )
  const cluster = { timeouts: { idle: '50ms' } }
  const { port, proxy } = await startSimpleProxy(t, [origin.address], { cluster })
  const client = await dial(t, port)
  client.write(GET)
  await client.head()
  assert.equal(await origin.connections[0]?.gone(), 'ended')
  assert.equal(proxy.statistics().clusters[0]?.endpoints[0]?.connections, 0)
})
