/** What is sent once more after a timeout or a status, how often, and what the budget allows. */
import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import { parseConfig } from '../index.ts'
import { backoffMs } from '../retry-policy.ts'
import type { Bytes } from './bytes.ts'
import { answering, dial, ok, quiet, startOrigin, startSimpleProxy } from './harness.ts'

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'
const BUSY = 'HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy'

/** Answers with `answers`, one to a connection or request, the last again and again. */
function inTurn(answers: readonly string[]): (connection: Bytes) => Promise<void> {
  let next = 0
  return answering(() => answers[Math.min(next++, answers.length - 1)] as string)
}

test('an answer with a status to retry is not the client’s', async (t) => {
  const origin = await startOrigin(t, inTurn([BUSY, BUSY, ok('x')]))
  const cluster = { retryOn: ['gateway-error'], retryBackoff: '1ms' }
  const { port, proxy } = await startSimpleProxy(t, [origin.address], { cluster })
  const client = await dial(t, port)
  client.write(GET)
  assert.match(await client.head(), /^HTTP\/1\.1 200/)
  assert.equal(await client.take(1), 'x')
  assert.equal(proxy.statistics().requests.retries, 2)
})

test('after the last attempt the client gets what the upstream answered', async (t) => {
  const origin = await startOrigin(t, inTurn([BUSY]))
  const cluster = { retryOn: [503], retries: 1, retryBackoff: '1ms' }
  const { port, proxy } = await startSimpleProxy(t, [origin.address], { cluster })
  const client = await dial(t, port)
  client.write(GET)
  assert.match(await client.head(), /^HTTP\/1\.1 503 Busy/)
  assert.equal(await client.take(4), 'busy')
  assert.equal(proxy.statistics().requests.retries, 1)
  assert.deepEqual(proxy.statistics().requests.failures, {})
})

test('another endpoint is asked when one is busy, and the body goes with it', async (t) => {
  const busy = await startOrigin(t, async (connection) => {
    await connection.head()
    connection.write(BUSY)
    await connection.gone()
  })
  const origin = await startOrigin(t, async (connection) => {
    for (;;) {
      await connection.head()
      connection.write(ok(await connection.take(4)))
    }
  })
  const cluster = { retryOn: ['5xx'], retryBackoff: '1ms' }
  const { port } = await startSimpleProxy(t, [busy.address, origin.address], { cluster })
  for (let i = 0; i < 4; i++) {
    const client = await dial(t, port)
    client.write('PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody')
    assert.match(await client.head(), /^HTTP\/1\.1 200/)
    assert.equal(await client.take(4), 'body')
  }
  assert.ok(busy.connections.length > 0)
})

test('a POST that was answered is not sent again, whatever the status', async (t) => {
  const origin = await startOrigin(t, inTurn([BUSY, ok('x')]))
  const { port } = await startSimpleProxy(t, [origin.address], { cluster: { retryOn: ['5xx'] } })
  const client = await dial(t, port)
  client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n')
  assert.match(await client.head(), /^HTTP\/1\.1 503 Busy/)
})

test('an attempt that takes too long is given up, and the next one answers', async (t) => {
  const origin = await startOrigin(t, async (connection, index) => {
    await connection.head()
    if (index === 0) await connection.gone()
    else connection.write(ok('x'))
  })
  const cluster = { timeouts: { perTry: '1s' }, retryBackoff: '1ms' }
  const { port, proxy } = await startSimpleProxy(t, [origin.address], { cluster })
  const client = await dial(t, port)
  client.write(GET)
  assert.match(await client.head(), /^HTTP\/1\.1 200/)
  assert.equal(proxy.statistics().requests.retries, 1)
})

test('perTry without a further attempt is a 504', async (t) => {
  const origin = await startOrigin(t, async (connection) => {
    await connection.gone()
  })
  const cluster = { timeouts: { perTry: '60ms' }, retries: 0 }
  const { port, proxy } = await startSimpleProxy(t, [origin.address], { cluster })
  const client = await dial(t, port)
  client.write(GET)
  assert.match(await client.head(), /^HTTP\/1\.1 504 .*x-shmesh-reason: upstream_timeout/is)
  assert.match(await client.until('\n'), /did not begin its response within 60 ms/)
  assert.equal(proxy.statistics().requests.failures.upstream_timeout, 1)
})

test('an answer that has begun is not cut off by perTry', async (t) => {
  let finish: (() => void) | undefined
  const origin = await startOrigin(t, async (connection) => {
    await connection.head()
    connection.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na')
    await new Promise<void>((resolve) => {
      finish = resolve
    })
    connection.write('b')
  })
  const slow = await startOrigin(t, async (connection) => {
    await connection.gone()
  })
  const { port } = await startSimpleProxy(t, [origin.address], {
    cluster: { timeouts: { perTry: '1s' } }
  })
  const clock = await startSimpleProxy(t, [slow.address], {
    cluster: { timeouts: { perTry: '1s' }, retries: 0 }
  })
  const client = await dial(t, port)
  client.write(GET)
  await client.head()
  const other = await dial(t, clock.port)
  other.write(GET)
  assert.match(await other.head(), / 504 /)
  finish?.()
  assert.equal(await client.take(2), 'ab')
})

test('beyond the budget a retry does not happen, and is counted', async (t) => {
  const connections: Bytes[] = []
  const origin = await startOrigin(t, async (connection, index) => {
    await connection.head()
    if (index < 4) {
      connections.push(connection)
      if (connections.length === 4) for (const waiting of connections) waiting.write(BUSY)
      await connection.gone()
    }
    connection.write(ok('x'))
  })
  const cluster = {
    retryOn: [503],
    retryBackoff: '1ms',
    retryBudget: { percent: 0, minimum: 1 }
  }
  const { port, proxy } = await startSimpleProxy(t, [origin.address], { cluster })
  const clients = await Promise.all(Array.from({ length: 4 }, () => dial(t, port)))
  for (const client of clients) client.write(GET)
  const heads = await Promise.all(clients.map((client) => client.head()))
  const retried = heads.filter((head) => head.includes(' 200 ')).length
  const { retriesDenied, retrying } = proxy.statistics().clusters[0] ?? {}
  assert.ok(retried >= 1 && retried < 4, `${retried} were retried`)
  assert.equal(retriesDenied, 4 - retried)
  assert.equal(retrying, 0)
})

test('a client that leaves during the pause before a retry ends it', async (t) => {
  const origin = await startOrigin(t, inTurn([BUSY]))
  const cluster = { retryOn: [503], retryBackoff: '1h' }
  const { port, proxy } = await startSimpleProxy(t, [origin.address], { cluster })
  const client = await dial(t, port)
  client.write(GET)
  await quiet(() => proxy.statistics().clusters[0]?.retrying === 1)
  ;(client.stream as Socket).resetAndDestroy()
  await quiet(() => proxy.statistics().requests.active === 0)
  const { retrying, active } = proxy.statistics().clusters[0] ?? {}
  assert.deepEqual([retrying, active], [0, 0])
})

test('the pause grows, is random, and has an end', () => {
  const cluster = parseConfig(
    JSON.stringify({
      version: 1,
      listeners: [{ name: 'a', address: 'http://a:1', routes: [{ cluster: 'a' }] }],
      clusters: [{ name: 'a', endpoints: [{ address: 'http://a:1' }], retryBackoff: '10ms' }]
    }),
    'test'
  ).clusters[0]
  assert.ok(cluster)
  for (const [attempt, longest] of [
    [2, 10],
    [3, 20],
    [4, 40],
    [11, 100]
  ] as const) {
    const pauses = Array.from({ length: 200 }, () => backoffMs(cluster, attempt))
    assert.ok(Math.max(...pauses) <= longest)
    assert.ok(Math.max(...pauses) > longest * 0.8)
    assert.ok(Math.min(...pauses) < longest * 0.2)
  }
})

test('an upstream where nothing moves any more: 504 before, an abort within its answer', async (t) => {
  const origin = await startOrigin(t, async (connection) => {
    const head = await connection.head()
    if (head.startsWith('GET /begun')) {
      connection.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf')
    }
    await connection.gone()
  })
  const cluster = { timeouts: { body: '1s' } }
  const { port, proxy } = await startSimpleProxy(t, [origin.address], { cluster })
  const silent = await dial(t, port)
  silent.write(GET)
  const begun = await dial(t, port)
  begun.write('GET /begun HTTP/1.1\r\nHost: a\r\n\r\n')
  assert.match(await silent.head(), /^HTTP\/1\.1 504 .*x-shmesh-reason: upstream_timeout/is)
  assert.match(await silent.until('\n'), /no byte moved to or from upstream app at .* for 1000 ms/)
  assert.ok(await begun.brokenOff())
  assert.equal(proxy.statistics().requests.failures.upstream_timeout, 2)
})

test('a slow client is not the upstream’s fault', async (t) => {
  const origin = await startOrigin(t, async (connection) => {
    await connection.head()
    await connection.take(2)
    connection.write(ok('x'))
  })
  const silent = await startOrigin(t, async (connection) => {
    await connection.gone()
  })
  const cluster = { timeouts: { body: '1s' } }
  const { port } = await startSimpleProxy(t, [origin.address], { cluster })
  const clock = await startSimpleProxy(t, [silent.address], { cluster })
  const client = await dial(t, port)
  client.write('PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na')
  for (let i = 0; i < 2; i++) {
    const other = await dial(t, clock.port)
    other.write(GET)
    assert.match(await other.head(), / 504 /)
  }
  client.write('b')
  assert.match(await client.head(), / 200 /)
})
