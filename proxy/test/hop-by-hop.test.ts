import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { answering, ok, roundTrip, startOrigin, startSimpleProxy } from './harness.ts'

/** The head an origin sees of a request with these extra fields. */
async function seen(
  t: TestContext,
  fields: string,
  listener: Readonly<Record<string, unknown>> = {}
): Promise<string> {
  const origin = await startOrigin(
    t,
    answering((head) => ok(head))
  )
  const { port } = await startSimpleProxy(t, [origin.address], { listener })
  const request = `GET / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n${fields}\r\n`
  const answer = await roundTrip(t, port, request)
  return answer.slice(answer.indexOf('\r\n\r\n') + 4)
}

test("the connection's own fields stay on the connection", async (t) => {
  const head = await seen(
    t,
    'Keep-Alive: timeout=5\r\nProxy-Connection: close\r\nTE: gzip\r\nUpgrade: h2c\r\n' +
      'Proxy-Authorization: Basic eA==\r\nAccept: */*\r\n'
  )
  assert.doesNotMatch(head, /^(connection|keep-alive|proxy-connection|te|upgrade|proxy-auth)/im)
  assert.match(head, /^Accept: \*\/\*\r$/m)
})

test('fields listed in Connection are dropped, and never those the proxy adds', async (t) => {
  const head = await seen(
    t,
    'Connection: X-Secret, X-Forwarded-For, X-Request-Id, Via, Host\r\nX-Secret: 1\r\n'
  )
  assert.doesNotMatch(head, /x-secret/i)
  assert.match(head, /^Host: app\.test\r$/m)
  assert.match(head, /^X-Forwarded-For: 127\.0\.0\.1\r$/m)
  assert.match(head, /^Via: 1\.1 shmesh\r$/m)
})

test('te: trailers is passed on as ours', async (t) => {
  const head = await seen(t, 'TE: deflate, trailers\r\n')
  assert.match(head, /^Connection: TE\r\nTE: trailers\r$/m)
})

test('what an untrusted client says about whom it speaks for is replaced', async (t) => {
  const head = await seen(
    t,
    'X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\n' +
      'Forwarded: for=1.2.3.4\r\nX-Real-IP: 1.2.3.4\r\nX-Forwarded-Prefix: /admin\r\n'
  )
  assert.doesNotMatch(head, /1\.2\.3\.4|evil|https|\/admin/)
  assert.match(
    head,
    /^X-Forwarded-For: 127\.0\.0\.1\r\nX-Forwarded-Host: app\.test\r\nX-Forwarded-Proto: http\r$/m
  )
})

test('a trusted client is believed, and appended to', async (t) => {
  const head = await seen(
    t,
    'X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-For: 5.6.7.8\r\nX-Forwarded-Proto: https\r\n' +
      'X-Forwarded-Host: outer.test\r\n',
    { trustForwarded: true }
  )
  assert.match(head, /^X-Forwarded-For: 1\.2\.3\.4, 5\.6\.7\.8, 127\.0\.0\.1\r$/m)
  assert.match(head, /^X-Forwarded-Proto: https\r$/m)
  assert.match(head, /^X-Forwarded-Host: outer\.test\r$/m)
})

test('a request gets an id, and keeps the one a trusted client gave it', async (t) => {
  const generated = /^X-Request-Id: [0-9a-f-]{36}\r$/m
  assert.match(await seen(t, ''), generated)
  assert.match(await seen(t, 'x-request-id: mine\r\n'), generated)
  const trusting = { trustForwarded: true }
  assert.match(await seen(t, 'x-request-id: mine\r\n', trusting), /^X-Request-Id: mine\r$/m)
  for (const bad of ['two words', 'x'.repeat(201), '']) {
    assert.match(await seen(t, `x-request-id: ${bad}\r\n`, trusting), generated, bad)
  }
})

test('a client is trusted when its address is in a listed network', async (t) => {
  const fields = 'X-Forwarded-For: 1.2.3.4\r\n'
  const near = await seen(t, fields, { trustForwarded: ['10.0.0.0/8', '127.0.0.0/8'] })
  assert.match(near, /^X-Forwarded-For: 1\.2\.3\.4, 127\.0\.0\.1\r$/m)
  const far = await seen(t, fields, { trustForwarded: ['10.0.0.0/8', '::1'] })
  assert.match(far, /^X-Forwarded-For: 127\.0\.0\.1\r$/m)
})

test('the port a client came to is passed on', async (t) => {
  assert.match(await seen(t, 'X-Forwarded-Port: 1\r\n'), /^X-Forwarded-Port: [1-9]\d{3,4}\r$/m)
  const trusting = { trustForwarded: true }
  const head = await seen(t, 'X-Forwarded-Port: 443\r\n', trusting)
  assert.match(head, /^X-Forwarded-Port: 443\r$/m)
})

test('Forwarded and Via are written as configured', async (t) => {
  const added = await seen(t, 'Forwarded: for=1.2.3.4\r\n', { forwarded: true, via: false })
  assert.match(added, /^Forwarded: for=127\.0\.0\.1;host=app\.test;proto=http\r$/m)
  assert.doesNotMatch(added, /^via/im)
  const appended = await seen(t, 'Forwarded: for=1.2.3.4\r\n', {
    forwarded: true,
    trustForwarded: true
  })
  assert.match(appended, /^Forwarded: for=1\.2\.3\.4, for=127\.0\.0\.1;host=app\.test;/m)
  const kept = await seen(t, 'Forwarded: for=1.2.3.4\r\n', { trustForwarded: true })
  assert.match(kept, /^Forwarded: for=1\.2\.3\.4\r$/m)
})

test('a request that goes round in circles is ended', async (t) => {
  const origin = await startOrigin(t, () => assert.fail('the request went on'))
  const { port, proxy } = await startSimpleProxy(t, [origin.address])
  const vias = 'Via: 1.1 shmesh\r\n'.repeat(21)

  const answer = await roundTrip(
    t,
    port,
    `GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${vias}\r\n`
  )

  assert.match(answer, /^HTTP\/1\.1 508 /)
  assert.equal(proxy.statistics().requests.failures.loop_detected, 1)
})

test("the response's own hop-by-hop fields go, and its framing is rewritten", async (t) => {
  const origin = await startOrigin(
    t,
    answering(
      () =>
        'HTTP/1.1 200 OK\r\nConnection: X-Hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: timeout=9\r\n' +
        'Proxy-Authenticate: Basic\r\nUpgrade: h2c\r\nContent-Length: 2\r\nSet-Cookie: a=1\r\n' +
        'Set-Cookie: b=2\r\n\r\nok'
    )
  )
  const { port } = await startSimpleProxy(t, [origin.address])
  const answer = await roundTrip(t, port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')

  assert.equal(
    answer,
    'HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 2\r\n' +
      'Via: 1.1 shmesh\r\nConnection: close\r\n\r\nok'
  )
})
