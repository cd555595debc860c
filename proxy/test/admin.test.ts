import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sharedMemory } from '../../adapter/index.ts'
import {
  answering,
  dial,
  ok,
  roundTrip,
  startOrigin,
  type startProxy,
  startSimpleProxy,
  temporaryDirectory,
  unusedAddress
} from './harness.ts'
import { startApp } from './processes.ts'

const ADMIN = { admin: 'http://127.0.0.1:0', health: 'http://127.0.0.1:0' }

async function start(t: Parameters<typeof startProxy>[0]) {
  const origin = await startOrigin(
    t,
    answering(() => ok('x'))
  )
  const harness = await startSimpleProxy(t, [origin.address], { proxy: ADMIN })
  const portOf = (name: string) =>
    Number(
      /:(\d+)$/.exec(
        harness.proxy.addresses.find((bound) => bound.name === name)?.address ?? ''
      )?.[1]
    )
  const ask = (port: number, request: string, fields = 'Host: localhost\r\n') =>
    roundTrip(t, port, `${request} HTTP/1.1\r\n${fields}Connection: close\r\n\r\n`)
  return { ...harness, admin: portOf('admin'), health: portOf('health'), ask }
}

test('an admin that other hosts can reach is warned of, a health that they can is not', async (t) => {
  const everywhere = { admin: 'http://0.0.0.0:0', health: 'http://0.0.0.0:0' }
  const open = await startSimpleProxy(t, ['http://127.0.0.1:9'], { proxy: everywhere })
  const admin = open.proxy.addresses.find(({ name }) => name === 'admin')
  const warnings = open.complaints.map((line) => JSON.parse(line))
  assert.deepEqual(
    warnings.map(({ address }) => address),
    [admin?.address]
  )
  assert.match(warnings[0].msg, /bind it to 127\.0\.0\.1/)

  const local = await startSimpleProxy(t, ['http://127.0.0.1:9'], { proxy: ADMIN })
  assert.deepEqual(local.complaints, [])
})

test('admin tells readiness, statistics, metrics and the configuration', async (t) => {
  const { port, admin, ask } = await start(t)
  const client = await dial(t, port)
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  await client.head()

  assert.match(await ask(admin, 'GET /ready'), /^HTTP\/1\.1 200 .*ready\n$/s)
  assert.match(await ask(admin, 'GET /live'), /^HTTP\/1\.1 200 /)
  const statistics = JSON.parse((await ask(admin, 'GET /stats')).split('\r\n\r\n')[1] as string)
  assert.equal(statistics.requests.status['2xx'], 1)
  assert.equal(statistics.clusters[0].endpoints[0].requests, 1)
  const metrics = await ask(admin, 'GET /metrics')
  assert.match(metrics, /^response_total\{.*cluster="app".*status_code="200".*\} 1$/m)
  assert.match(metrics, /^endpoint_request_total\{cluster="app",endpoint="http:.*"\} 1$/m)
  const config = JSON.parse((await ask(admin, 'GET /config_dump')).split('\r\n\r\n')[1] as string)
  assert.equal(config.clusters[0].connectTimeoutMs, 1000)
  assert.match(await ask(admin, 'GET /nowhere'), /^HTTP\/1\.1 404 .*\/config_dump/s)
})

test('ready means that the clusters it depends on can be reached', async (t) => {
  const origin = await startOrigin(
    t,
    answering(() => ok('x'))
  )
  const proxy = { ...ADMIN, readyClusters: ['app'] }
  const there = await startSimpleProxy(t, [origin.address], { proxy })
  assert.deepEqual(await there.proxy.unready(), [])
  assert.equal(origin.connections.length, 1)
  assert.deepEqual(await there.proxy.unready(), [])
  assert.equal(origin.connections.length, 1, 'asking again connects again')

  const away = await startSimpleProxy(t, [await unusedAddress(t)], { proxy })
  assert.deepEqual(await away.proxy.unready(), ['cluster app cannot be reached'])
})

test('admin tells clusters and shared memory', async (t) => {
  if (sharedMemory().addon === undefined) return t.skip('no shared memory here')
  const address = `shm://${temporaryDirectory(t)}/app.sock`
  await startApp(t, address)
  const { port, proxy } = await startSimpleProxy(t, [address], { proxy: ADMIN })
  await roundTrip(t, port, 'GET /1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  const bound = proxy.addresses.find(({ name }) => name === 'admin')?.address as string
  const ask = async (path: string) => {
    const request = `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`
    const answer = await roundTrip(t, Number(new URL(bound).port), request)
    return JSON.parse(answer.split('\r\n\r\n')[1] as string)
  }
  const [app] = await ask('/clusters')
  assert.equal(app.endpoints[0].requests, 1)
  const [memory] = await ask('/shm')
  assert.equal(memory.owner, 'cluster app')
  assert.equal(memory.sessions[0].path, address.slice('shm://'.length))
  assert.deepEqual(memory.sessions[0].suspects, [])
})

test('admin does not answer pages in a browser', async (t) => {
  const { admin, ask } = await start(t)
  const refused = [
    'Host: evil.test\r\n',
    'Host: localhost.evil.test\r\n',
    'Host: localhost\r\nOrigin: http://evil.test\r\n',
    'Host: localhost\r\nOrigin: null\r\n'
  ]
  for (const fields of refused) {
    assert.match(await ask(admin, 'GET /stats', fields), /^HTTP\/1\.1 403 /, fields)
    assert.match(await ask(admin, 'POST /drain', fields), /^HTTP\/1\.1 403 /, fields)
  }
  for (const host of ['127.0.0.1', `127.0.0.1:${admin}`, '[::1]', 'LOCALHOST']) {
    assert.match(await ask(admin, 'GET /stats', `Host: ${host}\r\n`), /^HTTP\/1\.1 200 /, host)
  }
})

test('what changes something must be posted', async (t) => {
  const { admin, ask, proxy } = await start(t)
  assert.match(await ask(admin, 'GET /drain'), /^HTTP\/1\.1 405 /)
  assert.match(await ask(admin, 'POST /stats'), /^HTTP\/1\.1 405 /)
  assert.equal(proxy.ready, true)
  assert.match(await ask(admin, 'POST /drain'), /^HTTP\/1\.1 202 /)
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(proxy.ready, false)
})

test('health serves what kubelet and Prometheus ask for, to whoever asks, and nothing else', async (t) => {
  const { health, ask } = await start(t)
  for (const path of ['/ready', '/live', '/metrics']) {
    assert.match(await ask(health, `GET ${path}`, 'Host: 10.1.2.3:9902\r\n'), /^HTTP\/1\.1 200 /)
  }
  for (const request of ['GET /stats', 'GET /config_dump', 'POST /drain']) {
    assert.match(await ask(health, request), /^HTTP\/1\.1 404 /)
  }
})
