/** One request must be one request on both sides of the proxy. Each case names what it once broke. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { answering, dial, ok, roundTrip, startOrigin, startSimpleProxy } from './harness.ts'

const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n'

const REFUSED: readonly (readonly [name: string, request: string, status: number])[] = [
  [
    'both Content-Length and Transfer-Encoding',
    `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
    400
  ],
  [
    'HTTP/1.0 with Transfer-Encoding (CVE-2026-2835)',
    `POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
    400
  ],
  [
    'an empty field name (CVE-2023-25725)',
    `GET / HTTP/1.1\r\nHost: a\r\n: x\r\nContent-Length: 40\r\n\r\n${SMUGGLED}`,
    400
  ],
  [
    'an empty Content-Length (CVE-2023-40225)',
    `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n\r\n${SMUGGLED}`,
    400
  ],
  [
    'a Content-Length with a sign',
    `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +4\r\n\r\nbody${SMUGGLED}`,
    400
  ],
  [
    'a list in Content-Length',
    `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4, 4\r\n\r\nbody${SMUGGLED}`,
    400
  ],
  [
    'two Content-Lengths, in two spellings (CVE-2026-1525)',
    `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\ncontent-length: 40\r\n\r\nbody${SMUGGLED}`,
    400
  ],
  [
    'two Transfer-Encodings (CVE-2020-8287)',
    `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n${SMUGGLED}`,
    400
  ],
  [
    'a Transfer-Encoding that only ends like chunked (CVE-2022-32213)',
    `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
    400
  ],
  [
    'chunked that is not last',
    `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n${SMUGGLED}`,
    400
  ],
  [
    'a transfer coding that nobody here knows',
    `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
    501
  ],
  [
    'a space before the colon (CVE-2021-22959)',
    `POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 40\r\n\r\n${SMUGGLED}`,
    400
  ],
  [
    'white space before Content-Length (CVE-2024-27982)',
    `POST / HTTP/1.1\r\nHost: a\r\n Content-Length: 40\r\n\r\n${SMUGGLED}`,
    400
  ],
  [
    'a folded Transfer-Encoding (CVE-2022-32215)',
    `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
    400
  ],
  [
    'a bare LF as line end (CVE-2022-32214)',
    `GET / HTTP/1.1\r\nHost: a\nContent-Length: 40\r\n\r\n${SMUGGLED}`,
    400
  ],
  [
    'CR LF CR and then anything (CVE-2025-23167)',
    `GET / HTTP/1.1\r\nHost: a\r\n\rX: y\r\n\r\n${SMUGGLED}`,
    400
  ],
  ['two Hosts', `GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n`, 400],
  ['no Host', `GET / HTTP/1.1\r\n\r\n`, 400],
  ['a comma in the authority', `GET / HTTP/1.1\r\nHost: a,b\r\n\r\n`, 400],
  ['a NUL in a value', `GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n`, 400],
  ['HTTP/2.0', `GET / HTTP/2.0\r\nHost: a\r\n\r\n`, 505],
  [
    'a head without end',
    `GET / HTTP/1.1\r\nHost: a\r\n${`X: ${'y'.repeat(1000)}\r\n`.repeat(20)}`,
    431
  ],
  ['a target without end', `GET /${'y'.repeat(20_000)}`, 414]
]

for (const [name, request, status] of REFUSED) {
  test(`refused before anything is sent on: ${name}`, async (t) => {
    const origin = await startOrigin(
      t,
      answering((head) => ok(head))
    )
    const { port, proxy } = await startSimpleProxy(t, [origin.address])
    const answer = await roundTrip(t, port, request)

    assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status} `))
    assert.match(answer, /\r\nConnection: close\r\n/)
    assert.equal(answer.match(/^HTTP\/1\.1 \d/gm)?.length, 1, 'more than one answer')
    assert.equal(origin.connections.length, 0)
    assert.equal(proxy.statistics().requests.failures.request_malformed, 1)
  })
}

const CHUNKED = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n'

const BROKEN_BODIES: readonly (readonly [name: string, body: string, status: number])[] = [
  ['a chunk size with a sign', `+4\r\nbody\r\n0\r\n\r\n${SMUGGLED}`, 400],
  ['a chunk size in hex notation', `0x4\r\nbody\r\n0\r\n\r\n${SMUGGLED}`, 400],
  ['a chunk size beyond 2^53', `${'f'.repeat(17)}\r\nbody\r\n0\r\n\r\n`, 400],
  ['a chunk longer than its size', `2\r\nbody\r\n0\r\n\r\n${SMUGGLED}`, 400],
  ['a bare LF behind a chunk size', `4\nbody\r\n0\r\n\r\n${SMUGGLED}`, 400],
  ['chunk extensions without end (CVE-2024-22019)', `4;${'x'.repeat(20_000)}`, 413],
  ['Content-Length in the trailers', `0\r\nContent-Length: 40\r\n\r\n${SMUGGLED}`, 400]
]

for (const [name, body, status] of BROKEN_BODIES) {
  test(`a body that is no body: ${name}`, async (t) => {
    const origin = await startOrigin(t, async (connection) => {
      await connection.head()
      await connection.gone()
      assert.doesNotMatch(connection.pending, /smuggled|0\r\n\r\n$/)
    })
    const { port } = await startSimpleProxy(t, [origin.address])
    const answer = await roundTrip(t, port, CHUNKED + body)

    assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status} `))
    assert.match(answer, /\r\nConnection: close\r\n/)
    assert.equal(answer.match(/^HTTP\/1\.1 \d/gm)?.length, 1, 'more than one answer')
  })
}

test('chunk extensions and odd sizes are not passed on', async (t) => {
  const origin = await startOrigin(t, async (connection) => {
    await connection.head()
    assert.equal(await connection.until('0\r\n\r\n'), '4\r\nbody\r\n0\r\n\r\n')
    connection.write(ok('x'))
  })
  const { port } = await startSimpleProxy(t, [origin.address])
  const client = await dial(t, port)
  client.write(`${CHUNKED}0004;a="b\\"c"\r\nbody\r\n000;z\r\n\r\n`)
  assert.match(await client.head(), /^HTTP\/1\.1 200/)
})

test('a second request behind an early answer is only read once the first has ended', async (t) => {
  const origin = await startOrigin(
    t,
    answering((head) => ok(/ (\S+) HTTP/.exec(head)?.[1] as string))
  )
  const { port } = await startSimpleProxy(t, [origin.address], {
    listener: { routes: [{ match: { prefix: '/app' }, cluster: 'app' }] }
  })
  const client = await dial(t, port)
  // No route, so the proxy answers before it has the body, which looks like a request.
  client.write(`POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n`)
  assert.match(await client.head(), /^HTTP\/1\.1 404/)
  await client.until('\n')
  client.write(`${SMUGGLED}GET /app/next HTTP/1.1\r\nHost: a\r\n\r\n`)
  assert.match(await client.head(), /^HTTP\/1\.1 200/)
  assert.equal(await client.take(9), '/app/next')
})

const ODD_FIELDS = ['__proto__: x', 'constructor: x', 'hasOwnProperty: x', 'toString: x']

test('fields named like parts of an object are fields (CVE-2026-21710)', async (t) => {
  const origin = await startOrigin(
    t,
    answering((head) => ok(head))
  )
  const { port } = await startSimpleProxy(t, [origin.address])
  const fields = ODD_FIELDS.map((field) => `${field}\r\n`).join('')
  const answer = await roundTrip(
    t,
    port,
    `GET / HTTP/1.1\r\nHost: a\r\nConnection: close, __proto__x\r\n${fields}\r\n`
  )
  for (const field of ODD_FIELDS) assert.ok(answer.includes(`\r\n${field}\r\n`), field)
})

test('a long field name is a field name and no length (CVE-2021-40346)', async (t) => {
  const seen: string[] = []
  const origin = await startOrigin(t, async (connection) => {
    for (;;) {
      const head = await connection.head()
      const length = Number(/^Content-Length: (\d+)\r$/m.exec(head)?.[1] ?? 0)
      seen.push(head, await connection.take(length))
      connection.write(ok('x'))
    }
  })
  const { port } = await startSimpleProxy(t, [origin.address])
  // 8 and 16 bits of a length that is cut off would end the name behind Content-Length.
  for (const bytes of ['Content-Length0'.length + 255, 14 + 256]) {
    const name = `Content-Length0${'a'.repeat(bytes)}`.slice(0, bytes)
    const client = await dial(t, port)
    client.write(
      `POST / HTTP/1.1\r\nHost: a\r\n${name}:\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`
    )
    assert.match(await client.head(), /^HTTP\/1\.1 200/)
    const [head, body, ...others] = seen.splice(0)
    assert.ok(head?.includes(`\r\n${name}: \r\n`), 'the field as it was')
    assert.equal(body, SMUGGLED)
    assert.deepEqual(others, [])
  }
})

const SPLITTING = '/app/%0d%0aX-Split:%20y%0D%0A%0D%0AGET%20/smuggled'

test('a path never becomes lines, not even when it is rewritten (CVE-2018-12116)', async (t) => {
  const heads: string[] = []
  const origin = await startOrigin(
    t,
    answering((head) => {
      heads.push(head)
      return ok('x')
    })
  )
  const rewrites = [undefined, { prefix: '/' }, { prefix: '/else/' }]
  for (const rewrite of rewrites) {
    const { port } = await startSimpleProxy(t, [origin.address], {
      listener: {
        normalizePath: false,
        routes: [{ match: { prefix: '/app/' }, cluster: 'app', ...(rewrite && { rewrite }) }]
      }
    })
    const client = await dial(t, port)
    client.write(`GET ${SPLITTING} HTTP/1.1\r\nHost: a\r\n\r\n`)
    assert.match(await client.head(), /^HTTP\/1\.1 200/)
    const sent = `${rewrite?.prefix ?? '/app/'}${SPLITTING.slice('/app/'.length)}`
    assert.ok(heads.at(-1)?.startsWith(`GET ${sent} HTTP/1.1\r\n`), heads.at(-1))
    assert.doesNotMatch(heads.at(-1) ?? '', /^X-Split|^GET \/smuggled/m)
  }
  assert.equal(heads.length, rewrites.length)
  const { port } = await startSimpleProxy(t, [origin.address])
  // Latin-1 would cut U+010D and U+010A down to CR and LF; as bytes they are no part of a target.
  const target = Buffer.from('/\u010d\u010aX-Split:\u0120y').toString('latin1')
  assert.match(
    await roundTrip(t, port, `GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`),
    /^HTTP\/1\.1 400 /
  )
  assert.equal(heads.length, rewrites.length)
})

test("an upstream's response is held to the same rules", async (t) => {
  const responses = [
    'HTTP/1.1 200 OK\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nbody!',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: a\nY: b\r\n\r\n0\r\n\r\n',
    'HTTP/1.1 200 OK\r\nX : y\r\nContent-Length: 0\r\n\r\n'
  ]
  const origin = await startOrigin(t, async (connection, index) => {
    await connection.head()
    connection.write(responses[index] as string)
    await connection.gone()
  })
  const { port } = await startSimpleProxy(t, [origin.address])
  const client = await dial(t, port)
  for (const _ of responses) {
    client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    assert.match(await client.head(), /^HTTP\/1\.1 502 .*upstream_malformed/s)
    await client.until('\n')
  }
})
