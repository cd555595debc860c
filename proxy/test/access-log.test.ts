import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import { parseConfig } from '../index.ts'
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

const GET =
  'GET /a?b=1 HTTP/1.1\r\nHost: a.test\r\nUser-Agent: it "is"\r\nReferer: http://r/\r\n' +
  'Connection: close\r\n\r\n'

const greeting = answering(() => ok('hello'))

test('one JSON line tells all about a request', async (t) => {
  const origin = await startOrigin(t, greeting)
  const options = { proxy: { accessLog: true } }
  const { port, accessLog } = await startSimpleProxy(t, [origin.address], options)
  await roundTrip(
    t,
    port,
    'POST /x HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc'
  )

  assert.equal(accessLog.length, 1)
  const entry = JSON.parse(accessLog[0] as string)
  assert.ok(entry.durationMs >= entry.headMs && entry.headMs > 0, accessLog[0])
  assert.match(entry.requestId, /^[0-9a-f-]{36}$/)
  const { time, durationMs, headMs, requestId, ...rest } = entry
  assert.deepEqual(rest, {
    level: 30,
    msg: 'request',
    listener: 'inbound',
    client: '127.0.0.1',
    method: 'POST',
    host: 'a.test',
    target: '/x',
    status: 200,
    bytesReceived: 3,
    bytesSent: 5,
    cluster: 'app',
    upstream: `app at ${origin.address}`,
    retries: 0,
    transport: 'socket'
  })
})

test('common, combined and a format of one’s own', async (t) => {
  const origin = await startOrigin(t, greeting)
  const line = async (format: string) => {
    const options = { proxy: { accessLog: { format } } }
    const { port, accessLog } = await startSimpleProxy(t, [origin.address], options)
    await roundTrip(t, port, GET)
    return accessLog[0] as string
  }
  const common =
    '127\\.0\\.0\\.1 - - \\[\\d\\d/[A-Z][a-z]{2}/\\d{4}:\\d\\d:\\d\\d:\\d\\d \\+0000\\] ' +
    '"GET /a\\?b=1 HTTP/1\\.1" 200 5'
  assert.match(await line('common'), new RegExp(`^${common}\n$`))
  assert.match(
    await line('combined'),
    new RegExp(`^${common} "http://r/" "it \\\\\\\\"is\\\\\\\\""\n$`.replaceAll('\\\\\\\\', '\\\\'))
  )
  assert.equal(await line('%{status} %{flags} <%{traceId}> %{listener}!'), '200 - <-> inbound!\n')
  assert.match(await line('shmesh'), /^\[20.*Z\] inbound "GET \/a\?b=1 HTTP\/1\.1" 200 - 0 5 /)
})

test('a text of one’s own reaches the log in UTF-8', async (t) => {
  const origin = await startOrigin(t, greeting)
  const options = { proxy: { accessLog: { format: '→ %{status} €' } } }
  const { port, accessLog } = await startSimpleProxy(t, [origin.address], options)
  await roundTrip(t, port, GET)
  assert.equal(Buffer.from(accessLog[0] as string, 'latin1').toString(), '→ 200 €\n')
})

test('what a client keeps sending is logged with what it changes', async (t) => {
  const origin = await startOrigin(t, greeting)
  const options = { proxy: { accessLog: true } }
  const { port, accessLog } = await startSimpleProxy(t, [origin.address], options)
  const client = await dial(t, port)
  const request = (target: string, host: string, agent: string) =>
    `GET ${target} HTTP/1.1\r\nHost: ${host}\r\nUser-Agent: ${agent}\r\nAccept: */*\r\n\r\n`
  const sent: [string, string, string, string][] = [
    ['/', 'a.test', 'one', 'a.test'],
    ['/2', 'a.test', 'one', 'a.test'],
    ['/2', 'a.test', 'two', 'a.test'],
    ['http://c.test/', 'c.test', 'two', 'c.test'],
    ['/', 'b.test', 'two', 'b.test']
  ]
  for (const [target, host, agent] of sent) {
    client.write(request(target, host, agent))
    await client.head()
    await client.take('hello'.length)
  }
  const seen = accessLog.map((line) => JSON.parse(line))
  assert.deepEqual(
    seen.map(({ target, host, userAgent }) => [target, host, userAgent]),
    sent.map(([target, , agent, host]) => [target, host, agent])
  )
  assert.equal(new Set(seen.map(({ requestId }) => requestId)).size, sent.length)
})

test('a client cannot end a line or a quoted part of it', async (t) => {
  const origin = await startOrigin(t, greeting)
  for (const format of ['json', 'combined']) {
    const options = { proxy: { accessLog: { format } } }
    const { port, accessLog } = await startSimpleProxy(t, [origin.address], options)
    await roundTrip(
      t,
      port,
      'GET /"\\ HTTP/1.1\r\nHost: a\r\nUser-Agent: \\" \t\xe9"\r\nConnection: close\r\n\r\n'
    )
    const line = accessLog[0] as string
    assert.equal(line.indexOf('\n'), line.length - 1)
    if (format === 'json') assert.equal(JSON.parse(line).userAgent, '\\" \té"')
    else assert.ok(line.endsWith('"\\\\\\" \\x09\\xe9\\""\n'), line)
  }
})

test('each failure has its flag', async (t) => {
  const reset = await startOrigin(t, async (connection) => {
    await connection.head()
    connection.stream.destroy()
  })
  const rubbish = await startOrigin(
    t,
    answering(() => 'what?\r\n\r\n')
  )
  const silent = await startOrigin(t, async (connection) => {
    await connection.gone()
  })
  const cases: [string, string, string, Record<string, unknown>][] = [
    [await unusedAddress(t), GET, 'UF', { retries: 0 }],
    [reset.address, GET, 'UC,URX', { retries: 1 }],
    [rubbish.address, GET, 'UPE', {}],
    [silent.address, GET, 'UT', { timeouts: { head: '50ms' } }],
    [silent.address, 'CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nConnection: close\r\n\r\n', 'DPE', {}],
    [silent.address, 'GET / HTTP/1.1\r\n\r\n', 'DPE', {}]
  ]
  for (const [address, request, flags, cluster] of cases) {
    const options = { proxy: { accessLog: { format: '%{flags}' } }, cluster }
    const { port, accessLog } = await startSimpleProxy(t, [address], options)
    await roundTrip(t, port, request)
    assert.deepEqual(accessLog, [`${flags}\n`], request)
  }
  const options = { proxy: { accessLog: { format: '%{status} %{flags}' } } }
  const { port, accessLog } = await startSimpleProxy(t, [silent.address], options)
  const client = await dial(t, port)
  client.write(GET)
  while (silent.connections.length < 2) await new Promise((resolve) => setImmediate(resolve))
  ;(client.stream as Socket).resetAndDestroy()
  await quiet(() => accessLog.length > 0)
  assert.deepEqual(accessLog, ['0 DC\n'])
})

test('what is sampled out is not logged, unless it failed', async (t) => {
  const origin = await startOrigin(
    t,
    answering((head) =>
      head.startsWith('GET /bad') ? 'HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n' : ok('x')
    )
  )
  const options = { proxy: { accessLog: { format: '%{status}', sample: '0%' } } }
  const { port, accessLog } = await startSimpleProxy(t, [origin.address], options)
  await roundTrip(t, port, GET)
  await roundTrip(t, port, GET.replace('/a', '/bad'))
  assert.deepEqual(accessLog, ['500\n'])
})

test('a format that cannot be is refused with what can', () => {
  const config = (accessLog: unknown) =>
    JSON.stringify({
      version: 1,
      accessLog,
      listeners: [{ name: 'in', address: 'http://[::1]:0', routes: [{ cluster: 'passthrough' }] }],
      clusters: []
    })
  const cases: [unknown, RegExp][] = [
    [{ format: 'jsn' }, /accessLog\.format.*json, common, combined, shmesh/],
    [{ format: '%{stats}' }, /accessLog\.format.*%\{status\}/],
    [{ sample: '10' }, /accessLog\.sample must be a share such as 10%/],
    [{ sample: '101%' }, /accessLog\.sample.*between '0%' and '100%'/],
    [{ fromat: 'json' }, /unknown key "fromat".*did you mean "format"/],
    ['yes', /accessLog must be true, false or a mapping/]
  ]
  for (const [accessLog, message] of cases) {
    assert.throws(() => parseConfig(config(accessLog), 'x.json'), {
      code: 'SHM_ERR_CONFIG',
      message
    })
  }
})
