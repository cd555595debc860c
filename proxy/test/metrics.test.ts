import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { sharedMemory } from '../../adapter/index.ts'
import type { MeshProxy } from '../index.ts'
import {
  dial,
  ok,
  quiet,
  roundTrip,
  startOrigin,
  startSimpleProxy,
  temporaryDirectory,
  unusedAddress
} from './harness.ts'
import { startApp } from './processes.ts'

/** The samples of a scrape, by name and labels. */
async function scrape(proxy: MeshProxy): Promise<Map<string, number>> {
  const samples = new Map<string, number>()
  for (const line of (await proxy.metrics()).split('\n')) {
    if (line === '' || line.startsWith('#')) continue
    const at = line.lastIndexOf(' ')
    samples.set(line.slice(0, at), Number(line.slice(at + 1)))
  }
  return samples
}

/** The sum of a metric over all labels that contain `labels`. */
function sum(samples: Map<string, number>, name: string, labels = ''): number {
  let total = 0
  for (const [key, value] of samples) {
    if (key.replace(/\{.*/, '') === name && key.includes(labels)) total += value
  }
  return total
}

async function get(t: TestContext, port: number, target: string, host = 'a'): Promise<void> {
  const request = `GET ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`
  assert.match(await roundTrip(t, port, request), /^HTTP\/1\.1 /)
}

test('requests and shared memory are counted, and what is taken is given back', async (t) => {
  if (sharedMemory().addon === undefined) return t.skip('no shared memory here')
  const address = `shm://${temporaryDirectory(t)}/app.sock`
  const app = await startApp(t, address)
  const { port, proxy } = await startSimpleProxy(t, [address], {
    listener: { routes: [{ match: { host: 'a' }, cluster: 'app' }] }
  })
  for (const size of [1, 1000, 100_000]) await get(t, port, `/${size}`)

  const samples = await scrape(proxy)
  assert.equal(sum(samples, 'request_total', 'direction="inbound"'), 3)
  const success = 'authority="a",status_code="200",classification="success"'
  assert.equal(sum(samples, 'response_total', success), 3)
  assert.equal(sum(samples, 'response_latency_ms_count'), 3)
  assert.equal(sum(samples, 'response_latency_ms_bucket', 'le="+Inf"'), 3)
  assert.ok(sum(samples, 'response_latency_ms_sum') > 0)
  assert.equal(sum(samples, 'response_bytes_total'), 101_001)
  assert.equal(sum(samples, 'transport_total', '"shm"'), 3)
  assert.equal(sum(samples, 'request_active'), 0)
  assert.equal(sum(samples, 'shm_sessions'), 1)
  const allocated = sum(samples, 'shm_slices_allocated_total')
  assert.ok(allocated > 0)
  assert.equal(sum(samples, 'shm_slices_freed_total'), allocated)
  assert.equal(sum(samples, 'shm_slices', 'held'), 0)
  assert.ok(sum(samples, 'shm_events_sent_total') >= 3)

  await app.kill()
  await get(t, port, '/1')
  const later = await scrape(proxy)
  assert.equal(sum(later, 'response_total', 'status_code="503",classification="failure"'), 1)
  assert.equal(sum(later, 'failure_total', 'flag="UF"'), 1)
  assert.equal(sum(later, 'shm_sessions'), 0)
  assert.ok(sum(later, 'shm_slices_allocated_total') >= allocated, 'a counter went back')
  assert.equal(
    sum(later, 'shm_slices_allocated_total'),
    sum(later, 'shm_slices_freed_total'),
    'nothing is held of a session that is gone'
  )
})

test('a client can add no label', async (t) => {
  const { port, proxy } = await startSimpleProxy(t, [await unusedAddress(t)])
  const names = async () => [...(await scrape(proxy)).keys()].length
  await get(t, port, '/', 'host-0.test')
  await roundTrip(t, port, 'rubbish\r\n\r\n')
  const before = await names()
  for (let i = 1; i < 20; i++) await get(t, port, `/${i}`, `host-${i}.test`)
  await roundTrip(t, port, 'more rubbish\r\n\r\n')
  assert.equal(await names(), before)
  assert.equal(sum(await scrape(proxy), 'request_total'), 22)
})

test('what waits for its turn is told', async (t) => {
  let asked = 0
  let answer = () => {}
  const answering = new Promise<void>((resolve) => {
    answer = resolve
  })
  const origin = await startOrigin(t, async (connection) => {
    for (;;) {
      await connection.head()
      asked++
      await answering
      connection.write(ok('x'))
    }
  })
  const { port, proxy } = await startSimpleProxy(t, [origin.address], { cluster: { requests: 1 } })
  const clients = [await dial(t, port), await dial(t, port)]
  for (const client of clients) {
    client.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  }
  await quiet(() => asked === 1 && proxy.statistics().clusters[0]?.queued === 1)
  const samples = await scrape(proxy)
  assert.equal(sum(samples, 'cluster_request_active', 'cluster="app"'), 1)
  assert.equal(sum(samples, 'cluster_request_queued', 'cluster="app"'), 1)
  answer()
  await quiet(() => proxy.statistics().requests.active === 0)
  assert.equal(sum(await scrape(proxy), 'cluster_request_queued'), 0)
})

test('each attempt to reload is counted, whoever refused it', async (t) => {
  const { proxy } = await startSimpleProxy(t, [await unusedAddress(t)])
  await proxy.reload(() => proxy.config)
  const unreadable = () => {
    throw new Error('no such file')
  }
  await assert.rejects(proxy.reload(unreadable), /no such file/)
  const admin = { kind: 'http', text: 'http://127.0.0.1:0', host: '127.0.0.1', port: 0 } as const
  await assert.rejects(proxy.reload(() => ({ ...proxy.config, admin })))
  const samples = await scrape(proxy)
  assert.equal(sum(samples, 'config_reload_total', 'result="succeeded"'), 1)
  assert.equal(sum(samples, 'config_reload_total', 'result="failed"'), 2)
})
