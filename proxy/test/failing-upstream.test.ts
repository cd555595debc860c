/**
 * How an exchange ends whose upstream does not behave: in time, with the status, flag and counter
 * of docs/reference/conformance.md, and nothing of it left (the harness looks).
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FailureReason } from '../counters.ts'
import type { Bytes } from './bytes.ts'
import { answering, dial, ok, quiet, startOrigin, startSimpleProxy } from './harness.ts'
import { startBlackHole } from './processes.ts'

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'
const POST = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody'
const PARTIAL = 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf'

interface Case {
  readonly name: string
  readonly request?: string
  readonly serve: (connection: Bytes) => Promise<void> | void
  readonly cluster?: Readonly<Record<string, unknown>>
  /** 0: the response had begun, and the client's connection is broken. */
  readonly status: number
  readonly flags: string
  readonly reason: FailureReason
}

const CASES: readonly Case[] = [
  {
    name: 'killed before it answers',
    request: POST,
    serve: async (connection) => {
      await connection.until('body')
      connection.stream.destroy()
    },
    status: 502,
    flags: 'UC',
    reason: 'upstream_reset'
  },
  {
    name: 'killed each time it is asked again',
    serve: async (connection) => {
      await connection.head()
      connection.stream.destroy()
    },
    cluster: { retries: 2 },
    status: 502,
    flags: 'UC,URX',
    reason: 'upstream_reset'
  },
  {
    name: 'killed within its answer',
    serve: async (connection) => {
      await connection.head()
      connection.stream.write(PARTIAL, () => connection.stream.destroy())
    },
    status: 0,
    flags: 'UC',
    reason: 'upstream_reset'
  },
  {
    name: 'black-holed: it takes the connection and nothing else',
    serve: async (connection) => {
      await connection.gone()
    },
    cluster: { timeouts: { head: '200ms' } },
    status: 504,
    flags: 'UT',
    reason: 'upstream_timeout'
  },
  {
    name: 'black-holed within its answer',
    serve: async (connection) => {
      await connection.head()
      connection.write(PARTIAL)
      await connection.gone()
    },
    cluster: { timeouts: { body: '500ms' } },
    status: 0,
    flags: 'UT',
    reason: 'upstream_timeout'
  },
  {
    name: 'slow: a head that trickles',
    serve: (connection) => trickle(connection, 'HTTP/1.1 200 OK\r\nX: '),
    cluster: { timeouts: { head: '300ms' } },
    status: 504,
    flags: 'UT',
    reason: 'upstream_timeout'
  },
  {
    name: 'slow: a body that trickles for longer than a request may take',
    serve: (connection) => trickle(connection, 'HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n'),
    cluster: { timeouts: { request: '500ms' } },
    status: 0,
    flags: 'UT',
    reason: 'upstream_timeout'
  },
  {
    name: 'lying: fewer bytes than it says',
    serve: async (connection) => {
      await connection.head()
      connection.stream.end(PARTIAL)
    },
    status: 0,
    flags: 'UC',
    reason: 'upstream_reset'
  },
  {
    name: 'lying: two lengths',
    serve: answering(() => 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxy'),
    status: 502,
    flags: 'UPE',
    reason: 'upstream_malformed'
  },
  {
    name: 'lying: chunks that are none',
    serve: answering(() => 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n'),
    status: 0,
    flags: 'UPE',
    reason: 'upstream_malformed'
  }
]

/** A head, then a byte now and then until nobody wants more. */
async function trickle(connection: Bytes, begin: string): Promise<void> {
  await connection.head()
  connection.write(begin)
  const timer = setInterval(() => connection.write('x'), 20)
  await connection.gone()
  clearInterval(timer)
}

for (const { name, request = GET, serve, cluster = {}, status, flags, reason } of CASES) {
  test(`an upstream that is ${name}`, async (t) => {
    const origin = await startOrigin(t, serve)
    const { port, proxy, accessLog } = await startSimpleProxy(t, [origin.address], {
      proxy: { accessLog: { format: '%{flags}' } },
      cluster: { retries: 0, ...cluster }
    })
    const client = await dial(t, port)
    client.write(request)
    if (status === 0) {
      assert.ok(await client.brokenOff())
      // A reset may take with it what was sent before.
      assert.match(client.pending, /^(HTTP\/1\.1 200 |$)/)
    } else {
      const answer = await client.head()
      assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status} `))
      assert.match(answer, new RegExp(`\r\nX-Shmesh-Reason: ${reason}\r\n`))
    }
    await quiet(() => accessLog.length > 0)
    assert.deepEqual(accessLog, [`${flags}\n`])
    assert.deepEqual(proxy.statistics().requests.failures, { [reason]: 1 })
  })
}

test('an upstream that is black-holed: it takes no connection', async (t) => {
  const address = `http://127.0.0.1:${await startBlackHole(t)}`
  const { port, proxy, accessLog } = await startSimpleProxy(t, [address], {
    proxy: { accessLog: { format: '%{flags}' } },
    cluster: { retries: 2, timeouts: { connect: '300ms', request: '20s' } }
  })
  const client = await dial(t, port)
  const asked = performance.now()
  client.write(GET)
  const answer = await client.head()
  assert.match(answer, /^HTTP\/1\.1 503 /)
  assert.match(answer, /\r\nX-Shmesh-Reason: upstream_timeout\r\n/)
  const tookMs = performance.now() - asked
  assert.ok(tookMs >= 299 && tookMs < 10_000, `${tookMs} ms`)
  assert.match(await client.until('\n'), /ETIMEDOUT .* after 300 ms/)
  await quiet(() => accessLog.length > 0)
  assert.deepEqual(accessLog, ['UT\n'])
  assert.deepEqual(proxy.statistics().requests.failures, { upstream_timeout: 1 })
  assert.equal(proxy.statistics().clusters[0]?.endpoints[0]?.connectFailures, 1)
})

test('an upstream that is lying: more bytes than it says', async (t) => {
  const origin = await startOrigin(t, async (connection, index) => {
    await connection.head()
    connection.write(index === 0 ? `${ok('mine')}HTTP/1.1 200 OK\r\n\r\nforged` : ok('next'))
    await connection.gone()
  })
  const { port, proxy } = await startSimpleProxy(t, [origin.address])
  const client = await dial(t, port)
  for (const body of ['mine', 'next']) {
    client.write(GET)
    assert.match(await client.head(), /^HTTP\/1\.1 200 /)
    assert.equal(await client.take(4), body)
  }
  assert.deepEqual(proxy.statistics().requests.failures, {})
})

test('an upstream that is answering early: its answer is passed on at once', async (t) => {
  const origin = await startOrigin(t, async (connection) => {
    await connection.head()
    connection.write(ok('early'))
    await connection.until('body')
  })
  const { port, proxy } = await startSimpleProxy(t, [origin.address])
  const client = await dial(t, port)
  client.write(POST.slice(0, -'body'.length))
  assert.match(await client.head(), /^HTTP\/1\.1 200 /)
  assert.equal(await client.take(5), 'early')
  client.write('body')
  await quiet(() => proxy.statistics().requests.active === 0)
  assert.deepEqual(proxy.statistics().requests.failures, {})
})
