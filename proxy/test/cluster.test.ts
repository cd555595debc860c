/** Which endpoint gets a request, which is passed over, and how many requests a cluster takes. */
import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import type { OutlierConfig } from '../config/types.ts'
import { Ejection } from '../upstream/ejection.ts'
import type { Bytes } from './bytes.ts'
import {
  answering,
  dial,
  ok,
  quiet,
  startOrigin,
  startProxy,
  startSimpleProxy,
  unusedAddress
} from './harness.ts'

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'

async function get(client: Bytes): Promise<string> {
  client.write(GET)
  const head = await client.head()
  const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0)
  return head + (await client.take(length))
}

/** An upstream that answers when told to. */
function holding(): { serve: (connection: Bytes) => Promise<void>; waiting: (() => void)[] } {
  const waiting: (() => void)[] = []
  const serve = async (connection: Bytes) => {
    for (;;) {
      await connection.head()
      await new Promise<void>((resolve) => waiting.push(resolve))
      connection.write(ok('x'))
    }
  }
  return { serve, waiting }
}

test('weights of endpoints share out what finds all of them idle', async (t) => {
  const light = await startOrigin(
    t,
    answering(() => ok('light'))
  )
  const heavy = await startOrigin(
    t,
    answering(() => ok('heavy'))
  )
  const { port, proxy } = await startSimpleProxy(t, [], {
    cluster: {
      endpoints: [{ address: light.address }, { address: heavy.address, weight: 4 }]
    }
  })
  const client = await dial(t, port)
  for (let i = 0; i < 500; i++) await get(client)
  const requests = proxy.statistics().clusters[0]?.endpoints.map((endpoint) => endpoint.requests)
  const [few = 0, many = 0] = requests ?? []
  assert.equal(few + many, 500)
  // Six standard deviations around 400.
  assert.ok(Math.abs(many - 400) < 54, `${few} and ${many}`)
})

test('a busy endpoint is spared, however heavy it is not', async (t) => {
  const { serve, waiting } = holding()
  const one = await startOrigin(t, serve)
  const other = await startOrigin(t, serve)
  const { port, proxy } = await startSimpleProxy(t, [one.address, other.address])
  const clients = await Promise.all(Array.from({ length: 6 }, () => dial(t, port)))
  for (const client of clients) client.write(GET)
  await quiet(() => waiting.length === 6)
  const busy = proxy.statistics().clusters[0]?.endpoints.map((endpoint) => endpoint.inFlight)
  assert.deepEqual(busy, [3, 3])
  for (const release of waiting) release()
  for (const client of clients) assert.match(await client.head(), / 200 /)
})

test('requests beyond the limit wait in order, those beyond the queue are turned away', async (t) => {
  const { serve, waiting } = holding()
  const origin = await startOrigin(t, serve)
  const cluster = { requests: 2, pending: 1 }
  const { port, proxy } = await startSimpleProxy(t, [origin.address], { cluster })
  const clients = await Promise.all([dial(t, port), dial(t, port), dial(t, port)])
  for (const client of clients) client.write(GET)
  const load = () => proxy.statistics().clusters[0]
  await quiet(() => waiting.length === 2 && load()?.queued === 1)
  assert.equal(load()?.active, 2)

  const late = await dial(t, port)
  late.write(GET)
  assert.match(await late.head(), /^HTTP\/1\.1 503 .*x-shmesh-reason: upstream_overloaded/is)
  assert.match(await late.until('\n'), /cluster app has as many requests in flight/)
  for (let done = 0; done < 3; done++) {
    await quiet(() => waiting.length > 0)
    waiting.shift()?.()
  }
  for (const client of clients) assert.match(await client.head(), /^HTTP\/1\.1 200/)
  // The one that waited took over a connection that had become free.
  assert.equal(origin.connections.length, 2)
  await quiet(() => load()?.active === 0)
  assert.equal(load()?.active, 0)
})

test('who waits too long for its turn gets 503, who leaves makes room', async (t) => {
  const { serve, waiting } = holding()
  const origin = await startOrigin(t, serve)
  const cluster = { requests: 1, timeouts: { queue: '1s' } }
  const { port, proxy } = await startSimpleProxy(t, [origin.address], { cluster })
  const first = await dial(t, port)
  first.write(GET)
  await quiet(() => waiting.length === 1)
  const queued = () => proxy.statistics().clusters[0]?.queued

  const patient = await dial(t, port)
  patient.write(GET)
  assert.match(await patient.head(), /^HTTP\/1\.1 503 .*upstream_overloaded/is)
  assert.equal(queued(), 0)

  const leaving = await dial(t, port)
  leaving.write(GET)
  await quiet(() => queued() === 1)
  ;(leaving.stream as Socket).resetAndDestroy()
  await quiet(() => queued() === 0)
  assert.equal(queued(), 0)
  waiting.shift()?.()
  assert.match(await first.head(), / 200 /)
})

test('many that wait for an upstream that is gone are all told', async (t) => {
  const { serve, waiting } = holding()
  const origin = await startOrigin(t, serve)
  const cluster = { requests: 1, retries: 0 }
  const { port, proxy } = await startSimpleProxy(t, [origin.address], { cluster })
  const clients = await Promise.all(Array.from({ length: 50 }, () => dial(t, port)))
  for (const client of clients) client.write(GET)
  await quiet(() => waiting.length === 1 && proxy.statistics().clusters[0]?.queued === 49)
  origin.close()
  for (const client of clients) assert.match(await client.head(), /^HTTP\/1\.1 50[23] /)
  assert.equal(proxy.statistics().clusters[0]?.active, 0)
})

test('an endpoint that answers 5xx in a row is passed over, and counts as ejected', async (t) => {
  const bad = await startOrigin(
    t,
    answering(() => 'HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n')
  )
  const good = await startOrigin(
    t,
    answering(() => ok('x'))
  )
  const cluster = { outlier: { consecutive5xx: 3 } }
  const { port, proxy } = await startSimpleProxy(t, [bad.address, good.address], { cluster })
  const client = await dial(t, port)
  const statuses: string[] = []
  for (let i = 0; i < 20; i++) statuses.push(/ (\d+) /.exec(await get(client))?.[1] ?? '')
  assert.equal(statuses.filter((status) => status === '500').length, 3)
  const [first, second] = proxy.statistics().clusters[0]?.endpoints ?? []
  assert.deepEqual([first?.ejected, second?.ejected], [true, false])
})

test('of two endpoints that answer 5xx only one is passed over', async (t) => {
  const serve = answering(() => 'HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n')
  const origins = [await startOrigin(t, serve), await startOrigin(t, serve)]
  const { port, proxy } = await startSimpleProxy(
    t,
    origins.map(({ address }) => address),
    { cluster: { outlier: { consecutive5xx: 2 } } }
  )
  const client = await dial(t, port)
  for (let i = 0; i < 20; i++) await get(client)
  const ejected = proxy.statistics().clusters[0]?.endpoints.filter((endpoint) => endpoint.ejected)
  assert.equal(ejected?.length, 1)
})

test('an ejection ends with a good answer to the request that probes', (t) => {
  let now = 1000
  t.mock.method(performance, 'now', () => now)
  const outlier: OutlierConfig = {
    consecutive5xx: 2,
    ejectionMs: 10_000,
    maxEjectionMs: 15_000,
    maxEjectedPercent: 10
  }
  const ejection = new Ejection(outlier, () => true)
  ejection.answered(true)
  ejection.answered(false)
  ejection.answered(true)
  assert.equal(ejection.passesOver(), false, 'two failures, but not in a row')
  ejection.answered(true)
  assert.equal(ejection.passesOver(), true)
  ejection.answered(false)
  assert.equal(ejection.passesOver(), true, 'an answer to a request from before')

  now += 10_001
  assert.equal(ejection.passesOver(), false)
  ejection.probe()
  assert.equal(ejection.passesOver(), true, 'one request probes')
  now += 10
  ejection.answered(true)
  now += 14_999
  assert.equal(ejection.passesOver(), true, 'twice as long, up to the longest')
  now += 2
  assert.equal(ejection.passesOver(), false)
  ejection.probe()
  ejection.answered(false)
  assert.equal(ejection.active, false)
})

test('a cluster without endpoints says where it looks', async (t) => {
  const { port } = await startSimpleProxy(t, ['shm:///nonexistent/apps/'])
  const client = await dial(t, port)
  const answer = await get(client)
  assert.match(answer, /^HTTP\/1\.1 503 .*x-shmesh-reason: upstream_unreachable/is)
  assert.match(answer, /cluster app has no endpoint: .*\/nonexistent\/apps/)
})

test('passthrough does not connect to denied networks, by address or by name', async (t) => {
  const { port, proxy } = await startProxy(t, {
    passthrough: { deny: ['127.0.0.0/8', '::1'] },
    listeners: [
      {
        name: 'outbound',
        address: 'http://127.0.0.1:0',
        direction: 'outbound',
        routes: [{ cluster: 'passthrough' }]
      }
    ],
    clusters: []
  })
  const unused = Number(new URL(await unusedAddress(t)).port)
  for (const host of ['127.0.0.1', 'localhost', '2130706433', '[::1]']) {
    const client = await dial(t, port)
    client.write(`GET / HTTP/1.1\r\nHost: ${host}:${unused}\r\n\r\n`)
    assert.match(await client.head(), /^HTTP\/1\.1 403 .*x-shmesh-reason: request_refused/is, host)
  }
  assert.equal(proxy.statistics().requests.failures.request_refused, 4)
})

test('passthrough never reaches the admin server or itself', async (t) => {
  const { port, proxy } = await startProxy(t, {
    admin: 'http://127.0.0.1:0',
    listeners: [
      {
        name: 'outbound',
        address: 'http://127.0.0.1:0',
        direction: 'outbound',
        routes: [{ cluster: 'passthrough' }]
      }
    ],
    clusters: []
  })
  const admin = new URL(proxy.addresses.at(-1)?.address ?? '').port
  for (const [authority, status] of [
    [`127.0.0.1:${admin}`, 403],
    [`localhost:${admin}`, 403],
    [`0.0.0.0:${admin}`, 403],
    [`127.0.0.1:${port}`, 508],
    [`localhost:${port}`, 508]
  ]) {
    const client = await dial(t, port)
    client.write(`POST /drain HTTP/1.1\r\nHost: ${authority}\r\nContent-Length: 0\r\n\r\n`)
    assert.match(await client.head(), new RegExp(`^HTTP/1\\.1 ${status} `), String(authority))
  }
  assert.equal(proxy.ready, true)
})
