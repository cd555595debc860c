import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RouteTable } from '../routes.ts'
import { answering, ok, roundTrip, startOrigin, startProxy, unusedAddress } from './harness.ts'

function table(...routes: readonly (readonly [host: string, prefix: string, cluster: string])[]) {
  const configs = routes.map(([host, prefix, cluster]) => ({ host, prefix, cluster }))
  return new RouteTable(configs, (name) => name)
}

test('the first route that matches wins', () => {
  const routes = table(
    ['api.test', '/v1', 'v1'],
    ['api.test', '/', 'api'],
    ['*.test', '/', 'wild'],
    ['*', '/public', 'public']
  )
  const cases = [
    ['api.test', '/v1', 'v1'],
    ['API.test:8080', '/v1/x', 'v1'],
    ['api.test.', '/v1?x', 'v1'],
    ['api.test', '/v10', 'api'],
    ['b.api.test', '/v1', 'wild'],
    ['test', '/public', 'public'],
    ['[::1]:80', '/public/x', 'public'],
    ['', '/public', 'public']
  ] as const
  for (const [host, path, expected] of cases) {
    assert.deepEqual(routes.find(host, path).cluster, expected, `${host}${path}`)
  }
  assert.deepEqual(routes.find('other', '/private'), { unmatched: 'path' })
})

test('a host that no route names is told apart from a path that none does', () => {
  const routes = table(['a.test', '/x', 'a'])
  assert.deepEqual(routes.find('b.test', '/x'), { unmatched: 'host' })
  assert.deepEqual(routes.find('a.test', '/y'), { unmatched: 'path' })
})

test('a path is matched as the app will read it, or not at all', () => {
  const routes = table(['*', '/public', 'public'], ['*', '/admin', 'admin'])
  assert.equal(routes.find('a', '/%61dmin').cluster, 'admin')
  for (const path of [
    '/public/../admin',
    '/public/%2e%2e/admin',
    '/public/.%2E/admin',
    '/public/./x',
    '/public%2fx',
    '/public\\x',
    '/public/..',
    '/%zz'
  ]) {
    assert.deepEqual(routes.find('a', path), { unmatched: 'ambiguous path' }, path)
  }
  assert.equal(routes.find('a', '/public/..x/a.b?../%2e').cluster, 'public')
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
      clusters: [{ name: 'app', endpoints: [{ address: await unusedAddress() }] }]
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
