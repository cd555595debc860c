/** What becomes of requests by the routes of a listener, between a client and its upstreams. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  answering,
  dial,
  ok,
  roundTrip,
  startOrigin,
  startProxy,
  unusedAddress
} from './harness.ts'

test('direct responses and redirects on the wire; what is sent upstream is rewritten', async (t) => {
  const origin = await startOrigin(
    t,
    answering((head) => ok(head))
  )
  const { port, proxy } = await startProxy(t, {
    listeners: [
      {
        name: 'in',
        address: 'http://127.0.0.1:0',
        routes: [
          { match: { path: '/gone' }, respond: { status: 410, body: 'weg: ä' } },
          { match: { path: '/none' }, respond: { status: 204 } },
          { match: { prefix: '/old' }, redirect: { prefix: '/new', status: 308 } },
          {
            match: { prefix: '/api' },
            cluster: 'app',
            rewrite: { prefix: '/v1', host: 'inner.test' }
          }
        ]
      }
    ],
    clusters: [{ name: 'app', endpoints: [{ address: origin.address }] }]
  })
  const get = (method: string, target: string) =>
    roundTrip(t, port, `${method} ${target} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n`)

  const gone = await get('GET', '/gone')
  assert.match(gone, /^HTTP\/1\.1 410 Gone\r\n.*Content-Type: text\/plain; charset=utf-8\r\n/s)
  assert.equal(Buffer.from(gone, 'latin1').toString().split('\r\n\r\n')[1], 'weg: ä')
  assert.match(await get('HEAD', '/gone'), /Content-Length: 7\r\n(?:.*\r\n)*\r\n$/)
  assert.doesNotMatch(await get('GET', '/none'), /Content-Length|Content-Type/i)
  const moved = await get('GET', '/old/x?y')
  assert.match(moved, /^HTTP\/1\.1 308 Permanent Redirect\r\n.*Location: \/new\/x\?y\r\n/s)
  assert.match(
    await get('GET', '/api/x?y'),
    /\r\n\r\nGET \/v1\/x\?y HTTP\/1\.1\r\n.*Host: inner\.test\r\n.*X-Forwarded-Host: a\.test\r\n/s
  )
  const { requests } = proxy.statistics()
  assert.deepEqual(requests.failures, {})
  assert.equal(requests.status['4xx'], 2)
})

test('requests alike but for their path get the Host of their own route', async (t) => {
  const origin = await startOrigin(
    t,
    answering((head) => ok(/\r\nHost: (.*)\r\n/.exec(head)?.[1] as string))
  )
  const { port } = await startProxy(t, {
    listeners: [
      {
        name: 'in',
        address: 'http://127.0.0.1:0',
        routes: [
          { match: { prefix: '/a' }, cluster: 'app', rewrite: { host: 'inner.test' } },
          { cluster: 'app' }
        ]
      }
    ],
    clusters: [{ name: 'app', endpoints: [{ address: origin.address }] }]
  })
  const client = await dial(t, port)
  for (const [path, host] of [
    ['/a', 'inner.test'],
    ['/b', 'outer.test'],
    ['/a', 'inner.test']
  ] as const) {
    client.write(`GET ${path} HTTP/1.1\r\nHost: outer.test\r\n\r\n`)
    await client.head()
    assert.equal(await client.take(host.length), host)
  }
})

test('a body sent to a route that answers by itself is read, and the connection kept', async (t) => {
  const { port } = await startProxy(t, {
    listeners: [
      {
        name: 'in',
        address: 'http://127.0.0.1:0',
        routes: [{ respond: { status: 200, body: 'x' } }]
      }
    ],
    clusters: []
  })
  const client = await dial(t, port)
  for (let i = 0; i < 2; i++) {
    client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    assert.doesNotMatch(await client.head(), /Connection: close/i)
    assert.equal(await client.take(1), 'x')
  }
  const request = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody'
  const answer = await roundTrip(
    t,
    port,
    request + request.replace('Host', 'Connection: close\r\nHost')
  )
  assert.equal(answer.split('HTTP/1.1 200 OK').length, 3)
})

test('without a route: 404 for a path, 404 inbound and 502 outbound for a host', async (t) => {
  const routes = [{ match: { host: 'known.test', prefix: '/app' }, cluster: 'app' }]
  const get = (target: string, host: string) =>
    `GET ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`
  for (const [direction, status] of [
    ['inbound', 404],
    ['outbound', 502]
  ] as const) {
    const { port } = await startProxy(t, {
      listeners: [{ name: 'in', address: 'http://127.0.0.1:0', direction, routes }],
      clusters: [{ name: 'app', endpoints: [{ address: await unusedAddress(t) }] }]
    })
    const host = await roundTrip(t, port, get('/app', 'unknown.test'))
    assert.match(host, new RegExp(`^HTTP/1\\.1 ${status} .*no_route.*"unknown\\.test"`, 's'))
    assert.match(await roundTrip(t, port, get('/x', 'known.test')), /^HTTP\/1\.1 404 .*no_route/s)
    assert.match(await roundTrip(t, port, get('/app/../x', 'known.test')), /^HTTP\/1\.1 400 /)
    assert.match(await roundTrip(t, port, get('https://known.test/app', 'a')), /^HTTP\/1\.1 501 /)
  }
})

test('passthrough goes to the host the request asks for', async (t) => {
  const origin = await startOrigin(
    t,
    answering((head) => ok(/\r\nHost: (.*)\r\n/.exec(head)?.[1] as string))
  )
  const { port } = await startProxy(t, {
    listeners: [
      {
        name: 'outbound',
        address: 'http://127.0.0.1:0',
        direction: 'outbound',
        routes: [{ match: { host: '*' }, cluster: 'passthrough' }]
      }
    ],
    clusters: []
  })
  const authority = origin.address.slice('http://'.length)
  for (const target of ['/', `http://${authority}/x`]) {
    const host = target === '/' ? authority : 'ignored.test'
    const request = `GET ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`
    const answer = await roundTrip(t, port, request)
    assert.ok(answer.endsWith(`\r\n\r\n${authority}`), answer)
  }
  assert.match(
    await roundTrip(t, port, 'GET / HTTP/1.0\r\n\r\n'),
    /^HTTP\/1\.1 502 .*there is no endpoint/s
  )
})
