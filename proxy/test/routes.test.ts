import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RequestHead } from '../../adapter/http1/index.ts'
import type { Destination, DirectAnswer } from '../destination.ts'
import { resolveConfig } from '../index.ts'
import { RouteTable } from '../routes.ts'
import type { Cluster } from '../upstream/cluster.ts'

type Route = Readonly<Record<string, unknown>>

/** A table of `routes`, whose clusters are all there. */
function table(...routes: readonly Route[]): RouteTable {
  const names = routes.flatMap(({ cluster, clusters }) => [
    ...(cluster === undefined ? [] : [cluster]),
    ...((clusters ?? []) as { name: string }[]).map(({ name }) => name)
  ])
  const { listeners, clusters } = resolveConfig(
    {
      version: 1,
      listeners: [{ name: 'in', address: 'http://127.0.0.1:0', routes }],
      clusters: [...new Set(names)].map((name) => ({
        name,
        endpoints: [{ address: 'http://127.0.0.1:1' }],
        timeouts: { head: '7s', request: '9s' }
      }))
    },
    () => 'test'
  )
  return new RouteTable(listeners[0]?.routes ?? [], 'inbound', (name) => {
    return { config: clusters.find((cluster) => cluster.name === name) } as unknown as Cluster
  })
}

const route = (host: string, prefix: string, cluster: string): Route => ({
  match: { host, prefix },
  cluster
})

function request(host: string, target: string, more: Partial<RequestHead> = {}): RequestHead {
  return {
    method: 'GET',
    target,
    host,
    version: 1,
    headers: [],
    beginning: [],
    framing: { kind: 'none' },
    keepAlive: true,
    expectContinue: false,
    ...more
  }
}

function destination(routes: RouteTable, head: RequestHead): Destination {
  const found = routes.find(head)
  assert.ok(!('reason' in found), `${head.host}${head.target} matches nothing`)
  return found
}

/** The name of the cluster a request goes to. */
const clusterOf = (routes: RouteTable, head: RequestHead) =>
  destination(routes, head).cluster?.config.name

/** The status and message of a request that goes nowhere. */
function refused(routes: RouteTable, head: RequestHead): string {
  const found = routes.find(head)
  return 'reason' in found ? `${found.status} ${found.message}` : 'it goes somewhere'
}

const answerOf = (routes: RouteTable, head: RequestHead) =>
  destination(routes, head).answer?.(head) as DirectAnswer

test('the first route that matches wins', () => {
  const routes = table(
    route('api.test', '/v1', 'v1'),
    route('api.test', '/', 'api'),
    route('*.test', '/', 'wild'),
    route('*', '/public', 'public')
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
    assert.equal(clusterOf(routes, request(host, path)), expected, `${host}${path}`)
  }
  assert.match(refused(routes, request('other', '/private')), /^404 no route matches the path/)
})

test('order counts, not how exact a host is', () => {
  const routes = table(
    route('*.a.test', '/x', 'deep'),
    route('*.test', '/', 'wild'),
    route('b.a.test', '/', 'exact'),
    route('*', '/', 'any')
  )
  assert.equal(clusterOf(routes, request('b.a.test', '/x')), 'deep')
  assert.equal(clusterOf(routes, request('b.a.test', '/y')), 'wild')
  assert.equal(clusterOf(routes, request('c.a.test', '/x')), 'deep')
  assert.equal(clusterOf(routes, request('a.test', '/x')), 'wild')
  assert.equal(clusterOf(routes, request('.test', '/')), 'any')
})

test('a host that no route names is told apart from a path that none does', () => {
  const routes = table(route('a.test', '/x', 'a'))
  assert.match(refused(routes, request('b.test', '/x')), /^404 no route matches the host "b\.test"/)
  assert.match(refused(routes, request('a.test', '/y')), /^404 no route matches the path/)
})

test('a path is matched as the app will read it, or not at all', () => {
  const routes = table(route('*', '/public', 'public'), route('*', '/admin', 'admin'))
  assert.equal(clusterOf(routes, request('a', '/%61dmin')), 'admin')
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
    assert.match(refused(routes, request('a', path)), /^400 /, path)
  }
  assert.equal(clusterOf(routes, request('a', '/public/..x/a.b?../%2e')), 'public')
})

test('an exact path, a method, several methods', () => {
  const routes = table(
    { match: { path: '/a', method: 'POST' }, cluster: 'post' },
    { match: { path: '/a', method: ['PUT', 'PATCH'] }, cluster: 'put' },
    { match: { path: '/a' }, cluster: 'exact' },
    { match: { method: 'GET' }, cluster: 'get' }
  )
  assert.equal(clusterOf(routes, request('h', '/a?q', { method: 'POST' })), 'post')
  assert.equal(clusterOf(routes, request('h', '/a', { method: 'PATCH' })), 'put')
  assert.equal(clusterOf(routes, request('h', '/%61')), 'exact')
  assert.equal(clusterOf(routes, request('h', '/a/')), 'get')
  assert.match(refused(routes, request('h', '/b', { method: 'HEAD' })), /^404/)
})

test('headers: exact, prefix, present, absent, and repeated ones as one', () => {
  const routes = table(
    { match: { headers: [{ name: 'X-Tenant', exact: 'a, b' }] }, cluster: 'both' },
    { match: { headers: [{ name: 'x-tenant', exact: 'a' }] }, cluster: 'exact' },
    { match: { headers: [{ name: 'accept', prefix: 'text/' }] }, cluster: 'prefix' },
    {
      match: { headers: [{ name: 'x-a' }, { name: 'x-b', present: false }] },
      cluster: 'present'
    },
    { cluster: 'rest' }
  )
  const cases: readonly (readonly [headers: string[], cluster: string])[] = [
    [['x-TENANT', 'a'], 'exact'],
    [['x-tenant', 'a', 'X-Tenant', 'b'], 'both'],
    [['x-tenant', 'b', 'x-tenant', 'a'], 'rest'],
    [['x-tenant', 'A'], 'rest'],
    [['Accept', 'text/html'], 'prefix'],
    [['x-a', ''], 'present'],
    [['x-a', '', 'x-b', ''], 'rest']
  ]
  for (const [headers, cluster] of cases) {
    assert.equal(clusterOf(routes, request('h', '/', { headers })), cluster, headers.join())
  }
})

test('weights share requests out, and one of 0 gets none', () => {
  const clusters = [
    { name: 'a', weight: 3 },
    { name: 'none', weight: 0 },
    { name: 'b', weight: 1 }
  ]
  const routes = table({ clusters })
  const counts: Record<string, number> = {}
  for (let i = 0; i < 10_000; i++) {
    const name = clusterOf(routes, request('h', '/')) ?? ''
    counts[name] = (counts[name] ?? 0) + 1
  }
  assert.deepEqual(Object.keys(counts).sort(), ['a', 'b'])
  // Nine standard deviations: once in more runs than there will be.
  assert.ok(Math.abs((counts['a'] ?? 0) - 7500) < 400, JSON.stringify(counts))
})

test('a rewritten prefix keeps the rest as the client wrote it', () => {
  const cases = [
    ['/api', '/v1', '/api/x%20y?q=/api', '/v1/x%20y?q=/api'],
    ['/api', '/v1', '/api', '/v1/'],
    ['/api', '/v1', '/%61pi/x', '/v1/x'],
    ['/api', '/', '/api/x', '/x'],
    ['/api', '/', '/api?q', '/?q'],
    ['/api/', '/v1/', '/api/x', '/v1/x'],
    ['/', '/v1', '/x', '/v1/x'],
    ['/é', '/e', '/%C3%A9/x', '/e/x'],
    ['/api', '/', '/api//evil.test/x', '/evil.test/x']
  ] as const
  for (const [prefix, to, target, expected] of cases) {
    const routes = table({ match: { prefix }, cluster: 'app', rewrite: { prefix: to } })
    assert.equal(destination(routes, request('h', target)).rewrite?.(target), expected, target)
  }
})

test('a rewritten path keeps the query; * stays *', () => {
  const routes = table({ cluster: 'app', rewrite: { path: '/all' } })
  const { rewrite } = destination(routes, request('h', '/'))
  assert.equal(rewrite?.('/x?y=1'), '/all?y=1')
  assert.equal(rewrite?.('*'), '*')
})

test('a redirect names the place as briefly as it can', () => {
  const cases = [
    [{ scheme: 'https' }, 'a.test:8080', '/x?y', 'https://a.test/x?y'],
    [{ scheme: 'https', port: 8443 }, 'a.test:80', '/', 'https://a.test:8443/'],
    [{ scheme: 'https' }, '[::1]:80', '/', 'https://[::1]/'],
    [{ host: 'b.test' }, 'a.test', '/x', '//b.test/x'],
    [{ prefix: '/new' }, 'a.test', '/x?y', '/new/x?y'],
    [{ path: '/new' }, 'a.test', '/x?y', '/new?y'],
    [{ scheme: 'https' }, '', '/x', '/x'],
    [{ prefix: '/' }, 'a.test', '//evil.test/x', '/evil.test/x'],
    [{ scheme: 'https' }, 'a.test', 'http://a.test//evil.test', 'https://a.test/evil.test']
  ] as const
  for (const [redirect, host, target, expected] of cases) {
    const { headers } = answerOf(table({ redirect }), request(host, target))
    assert.deepEqual(headers, ['Location', expected])
  }
})

test("a route's timeouts take the place of its cluster's, one by one", () => {
  const routes = table(
    { match: { prefix: '/own' }, cluster: 'app', timeouts: { head: '0s' }, retries: 0 },
    { cluster: 'app' }
  )
  const own = destination(routes, request('h', '/own')).limits
  assert.deepEqual([own.headTimeoutMs, own.requestTimeoutMs, own.retries], [0, 9000, 0])
  const other = destination(routes, request('h', '/')).limits
  assert.deepEqual([other.headTimeoutMs, other.requestTimeoutMs, other.retries], [7000, 9000, 2])
})
