import assert from 'node:assert/strict'
import { test } from 'node:test'
import { answering, dial, ok, quiet, roundTrip, startOrigin, startSimpleProxy } from './harness.ts'

const UPGRADE = 'GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'

test('after 101 bytes flow both ways, those sent too early included', async (t) => {
  const origin = await startOrigin(t, async (connection) => {
    const head = await connection.head()
    assert.match(head, /^Connection: Upgrade\r\nUpgrade: websocket\r$/m)
    // Nothing of the new protocol may arrive before the switch.
    await new Promise((resolve) => setImmediate(resolve))
    assert.equal(connection.pending, '')
    connection.write(
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello'
    )
    assert.equal(await connection.take(5), 'early')
    connection.write(`echo ${await connection.take(4)}`)
    assert.equal(await connection.rest(), '')
    connection.write('bye')
    connection.stream.end()
  })
  const { port, proxy } = await startSimpleProxy(t, [origin.address])
  const client = await dial(t, port)
  client.write(`${UPGRADE}early`)

  assert.match(await client.head(), /^HTTP\/1\.1 101 .*Upgrade: websocket\r\nConnection: Upgrade/s)
  assert.equal(await client.take(5), 'hello')
  assert.equal(proxy.statistics().requests.active, 1)
  client.write('ping')
  assert.equal(await client.take(9), 'echo ping')
  client.stream.end()
  assert.equal(await client.rest(), 'bye')
})

test('only 101 switches: after any other answer the connection speaks HTTP', async (t) => {
  const origin = await startOrigin(
    t,
    answering((head) => ok(/ (\S+) HTTP/.exec(head)?.[1] as string))
  )
  const { port } = await startSimpleProxy(t, [origin.address])
  const client = await dial(t, port)
  client.write(`${UPGRADE}GET /next HTTP/1.1\r\nHost: a\r\n\r\n`)

  await client.head()
  assert.equal(await client.take(5), '/chat')
  assert.match(await client.head(), /^HTTP\/1\.1 200 OK/)
  assert.equal(await client.take(5), '/next')
})

test('an upstream that switches unasked is not believed', async (t) => {
  const origin = await startOrigin(
    t,
    answering(
      () =>
        'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nGET / HTTP/1.1\r\n'
    )
  )
  const { port, proxy } = await startSimpleProxy(t, [origin.address])
  const answer = await roundTrip(t, port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')

  assert.match(answer, /^HTTP\/1\.1 502 .*x-shmesh-reason: upstream_malformed/is)
  assert.equal(proxy.statistics().requests.failures.upstream_malformed, 1)
})

test('a switch in the middle of the request is not followed', async (t) => {
  const origin = await startOrigin(t, async (connection) => {
    await connection.head()
    connection.write(
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'
    )
    await connection.gone()
    assert.equal(connection.pending, '')
  })
  const { port, proxy } = await startSimpleProxy(t, [origin.address])
  const client = await dial(t, port)
  client.write(UPGRADE.replace('GET', 'POST').replace('\r\n\r\n', '\r\nContent-Length: 9\r\n\r\n'))
  await client.gone()
  assert.equal(proxy.statistics().requests.failures.upstream_malformed, 1)
})

test('when one end of a tunnel breaks, so does the other', async (t) => {
  const origin = await startOrigin(t, async (connection) => {
    await connection.head()
    connection.write(
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'
    )
    await connection.take(1)
    connection.stream.destroy()
  })
  const { port } = await startSimpleProxy(t, [origin.address])
  const client = await dial(t, port)
  client.write(UPGRADE)
  await client.head()
  client.write('x')
  client.stream.on('end', () => client.stream.end())
  await client.gone()
})

test('CONNECT is refused', async (t) => {
  const origin = await startOrigin(t, () => assert.fail('a tunnel was opened'))
  const { port } = await startSimpleProxy(t, [origin.address])
  const answer = await roundTrip(t, port, 'CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\nsecret')

  assert.match(answer, /^HTTP\/1\.1 501 .*connection: close/is)
})

test('a tunnel nothing moves through is closed at both ends, and said to have timed out', async (t) => {
  const origin = await startOrigin(t, async (connection) => {
    await connection.head()
    connection.write(
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello'
    )
    await connection.gone()
  })
  const options = {
    proxy: { accessLog: { format: '%{status} %{flags}' } },
    listener: { timeouts: { tunnel: '200ms' } }
  }
  const { port, proxy, accessLog } = await startSimpleProxy(t, [origin.address], options)
  const client = await dial(t, port)
  client.write(UPGRADE)
  assert.match(await client.head(), /^HTTP\/1\.1 101 /)
  assert.equal(await client.take(5), 'hello')
  await client.gone()
  await origin.connections[0]?.gone()
  await quiet(() => proxy.statistics().requests.active === 0)
  assert.equal(proxy.statistics().requests.failures.request_timeout, 1)
  assert.deepEqual(accessLog, ['101 SI\n'])
})
