import assert from 'node:assert/strict'
import { test } from 'node:test'
import { normalizeTarget } from '../normalize-target.ts'
import { answering, ok, roundTrip, startOrigin, startSimpleProxy } from './harness.ts'

test('a path takes its normal form, and no other part of the target changes', () => {
  const cases = [
    ['/', '/'],
    ['/a/./b/../c', '/a/c'],
    ['/a/b/..', '/a/'],
    ['/a/.', '/a/'],
    ['/..', '/'],
    ['/../../a', '/a'],
    ['/%61%2D%7e', '/a-~'],
    ['/a%2fb%3a', '/a%2Fb%3A'],
    ['/%2e%2E/a', '/a'],
    ['/a%zz%', '/a%zz%'],
    ['/a//b', '/a//b'],
    ['/a?b=/../%61', '/a?b=/../%61'],
    ['/.a/..b/c.', '/.a/..b/c.'],
    ['http://h/a/../b', '/b']
  ] as const
  for (const [target, normal] of cases) {
    assert.equal(normalizeTarget('GET', target), normal, target)
    assert.equal(normalizeTarget('GET', normal), normal, 'a second time')
  }
  assert.equal(normalizeTarget('OPTIONS', '*'), '*')
})

test('the normal form is what is routed, logged and sent on', async (t) => {
  const origin = await startOrigin(
    t,
    answering((head) => ok(head.split('\r\n')[0] as string))
  )
  const options = {
    listener: { normalizePath: true, routes: [{ match: { prefix: '/api' }, cluster: 'app' }] },
    proxy: { accessLog: { format: '%{target}' } }
  }
  const { port, accessLog } = await startSimpleProxy(t, [origin.address], options)
  const ask = (target: string) =>
    roundTrip(t, port, `GET ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`)
  assert.match(await ask('/x/../%61pi/./y?q=..'), /GET \/api\/y\?q=\.\. HTTP\/1\.1$/)
  assert.match(await ask('/api/../admin'), /^HTTP\/1\.1 404 /)
  assert.deepEqual(accessLog, ['/api/y?q=..\n', '/admin\n'])
})
