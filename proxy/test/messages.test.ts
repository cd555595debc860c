import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Bytes } from './bytes.ts'
import { answering, dial, ok, roundTrip, startOrigin, startSimpleProxy } from './harness.ts'

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'

async function readRequest(connection: Bytes): Promise<{ head: string; body: string }> {
  const head = await connection.head()
  const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0)
  if (/transfer-encoding: chunked/i.test(head)) {
    return { head, body: await connection.until('0\r\n\r\n') }
  }
  return { head, body: length > 0 ? await connection.take(length) : '' }
}

test('a GET and its answer, on connections that are used again', async (t) => {
  const origin = await startOrigin(
    t,
    answering((head) => ok(head.split('\r\n', 1)[0] as string))
  )
  const { port, proxy } = await startSimpleProxy(t, [origin.address])

  const client = await dial(t, port)
  for (const path of ['/one', '/two?x=1', '/three']) {
    client.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`)
    const head = await client.head()
    assert.match(head, /^HTTP\/1\.1 200 OK\r\n/)
    assert.doesNotMatch(head, /connection:/i)
    const line = `GET ${path} HTTP/1.1`
    assert.equal(await client.take(line.length), line)
  }
  assert.equal(origin.connections.length, 1)
  assert.deepEqual(proxy.statistics().requests.status, {
    '1xx': 0,
    '2xx': 3,
    '3xx': 0,
    '4xx': 0,
    '5xx': 0,
    none: 0
  })
  assert.equal(proxy.statistics().requests.transport.socket, 3)
})

test('a request body of known length keeps its length', async (t) => {
  const origin = await startOrigin(t, async (connection) => {
    const { head, body } = await readRequest(connection)
    assert.doesNotMatch(head, /transfer-encoding/i)
    connection.write(ok(body))
  })
  const { port } = await startSimpleProxy(t, [origin.address])

  const body = 'b'.repeat(300_000)
  const client = await dial(t, port)
  client.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`)

  await client.head()
  assert.equal(await client.take(body.length), body)
})

test('an empty body stays an empty body, and none stays none', async (t) => {
  const origin = await startOrigin(
    t,
    answering((head) => ok(/content-length: 0/i.test(head) ? 'zero' : 'none'))
  )
  const { port } = await startSimpleProxy(t, [origin.address])
  const client = await dial(t, port)

  client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n')
  await client.head()
  assert.equal(await client.take(4), 'zero')
  client.write('POST / HTTP/1.1\r\nHost: a\r\n\r\n')
  await client.head()
  assert.equal(await client.take(4), 'none')
})

test('a chunked request is chunked again, with its trailers', async (t) => {
  const origin = await startOrigin(t, async (connection) => {
    const head = await connection.head()
    assert.match(head, /transfer-encoding: chunked/i)
    assert.doesNotMatch(head, /content-length/i)
    const body = await connection.until('\r\n0\r\n')
    const trailers = await connection.head()
    assert.equal(body, '5\r\nhello\r\n6\r\n world\r\n0\r\n')
    assert.equal(trailers, 'X-Sum: 11\r\n\r\n')
    connection.write(ok('fine'))
  })
  const { port } = await startSimpleProxy(t, [origin.address])
  const client = await dial(t, port)
  client.write(
    'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;ext=1\r\nhello\r\n'
  )
  client.write('6\r\n world\r\n0\r\nX-Sum: 11\r\nHost: evil\r\n\r\n'.replace('Host: evil\r\n', ''))

  await client.head()
  assert.equal(await client.take(4), 'fine')
})

test('a chunked response is chunked again, with its trailers', async (t) => {
  const origin = await startOrigin(
    t,
    answering(
      () =>
        'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n' +
        '3\r\nabc\r\n0\r\nX-Sum: 3\r\n\r\n'
    )
  )
  const { port } = await startSimpleProxy(t, [origin.address])
  const client = await dial(t, port)
  for (let i = 0; i < 2; i++) {
    client.write(GET)
    assert.match(await client.head(), /trailer: x-sum/i)
    assert.equal(await client.until('0\r\n'), '3\r\nabc\r\n0\r\n')
    assert.equal(await client.head(), 'X-Sum: 3\r\n\r\n')
  }
})

test('a response that ends with its connection becomes chunked', async (t) => {
  const origin = await startOrigin(t, async (connection) => {
    await connection.head()
    connection.write('HTTP/1.1 200 OK\r\n\r\nall of it')
    connection.stream.end()
  })
  const { port } = await startSimpleProxy(t, [origin.address])
  const client = await dial(t, port)
  for (let i = 0; i < 2; i++) {
    client.write(GET)
    assert.match(await client.head(), /transfer-encoding: chunked/i)
    assert.equal(await client.until('0\r\n\r\n'), '9\r\nall of it\r\n0\r\n\r\n')
  }
  assert.equal(origin.connections.length, 2)
})

test('HTTP/1.0 clients get no chunks, no interim heads and a closed connection', async (t) => {
  const origin = await startOrigin(
    t,
    answering((head) => {
      assert.match(head, /^GET \/ HTTP\/1\.1\r\nHost: \r\n/)
      return (
        'HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n' +
        'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n'
      )
    })
  )
  const { port } = await startSimpleProxy(t, [origin.address])

  const answer = await roundTrip(t, port, 'GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n')

  assert.match(answer, /^HTTP\/1\.1 200 OK\r\n/)
  assert.match(answer, /connection: close\r\n/i)
  assert.doesNotMatch(answer, /transfer-encoding/i)
  assert.ok(answer.endsWith('\r\n\r\nabc'))
})

test('an HTTP/1.0 client that asks for it keeps its connection', async (t) => {
  const origin = await startOrigin(
    t,
    answering(() => ok('x'))
  )
  const { port } = await startSimpleProxy(t, [origin.address])
  const client = await dial(t, port)
  for (let i = 0; i < 2; i++) {
    client.write('GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n')
    assert.match(await client.head(), /connection: keep-alive/i)
    assert.equal(await client.take(1), 'x')
  }
})

test('answers to HEAD, 204 and 304 have no body, whatever they say about one', async (t) => {
  const answers: Record<string, string> = {
    'HEAD /': 'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n',
    'HEAD /chunked': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n',
    'GET /204': 'HTTP/1.1 204 No Content\r\n\r\n',
    'GET /304': 'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\nContent-Length: 7\r\n\r\n'
  }
  const origin = await startOrigin(
    t,
    answering((head) => answers[head.split(' HTTP', 1)[0] as string] as string)
  )
  const { port } = await startSimpleProxy(t, [origin.address])
  const client = await dial(t, port)

  client.write('HEAD / HTTP/1.1\r\nHost: a\r\n\r\n')
  assert.match(await client.head(), /content-length: 1000/i)
  client.write('HEAD /chunked HTTP/1.1\r\nHost: a\r\n\r\n')
  assert.match(await client.head(), /^HTTP\/1\.1 200 OK/)
  client.write('GET /204 HTTP/1.1\r\nHost: a\r\n\r\n')
  assert.doesNotMatch(await client.head(), /content-length|transfer-encoding/i)
  client.write('GET /304 HTTP/1.1\r\nHost: a\r\n\r\n')
  assert.match(await client.head(), /^HTTP\/1\.1 304 .*etag: "x".*content-length: 7/is)
  assert.equal(client.pending, '')
})

test('interim heads go through, also to a client that waits for 100 (Continue)', async (t) => {
  const origin = await startOrigin(t, async (connection) => {
    assert.match(await connection.head(), /expect: 100-continue/i)
    connection.write('HTTP/1.1 100 Continue\r\n\r\n')
    const body = await connection.take(4)
    connection.write('HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n')
    connection.write(ok(body))
  })
  const { port } = await startSimpleProxy(t, [origin.address])
  const client = await dial(t, port)

  client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n')
  assert.equal(await client.head(), 'HTTP/1.1 100 Continue\r\n\r\n')
  client.write('body')
  assert.equal(await client.head(), 'HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n')
  await client.head()
  assert.equal(await client.take(4), 'body')
})

test('pipelined requests are answered in order, one at a time', async (t) => {
  let running = 0
  const origin = await startOrigin(t, async (connection) => {
    for (;;) {
      const head = await connection.head()
      assert.equal(++running, 1)
      await new Promise((resolve) => setImmediate(resolve))
      running--
      connection.write(ok(/ (\S+) HTTP/.exec(head)?.[1] as string))
    }
  })
  const { port } = await startSimpleProxy(t, [origin.address])
  const client = await dial(t, port)
  const paths = Array.from({ length: 50 }, (_, index) => `/${index}`)
  client.write(paths.map((path) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`).join(''))

  for (const path of paths) {
    await client.head()
    assert.equal(await client.take(path.length), path)
  }
})

test('a client that has finished sending is still answered, pipelined requests included', async (t) => {
  const origin = await startOrigin(
    t,
    answering(() => ok('late'))
  )
  const { port } = await startSimpleProxy(t, [origin.address])
  const client = await dial(t, port)
  client.write(GET + GET)
  client.stream.end()

  const answer = await client.rest()
  assert.equal(answer.split('HTTP/1.1 200 OK').length - 1, 2)
})

test('a request that arrives byte by byte is the same request', async (t) => {
  const origin = await startOrigin(t, async (connection) => {
    const { head, body } = await readRequest(connection)
    assert.match(head, /^POST \/slow HTTP\/1\.1\r\nHost: a\r\n/)
    connection.write(ok(body))
  })
  const { port } = await startSimpleProxy(t, [origin.address])
  const client = await dial(t, port)
  for (const byte of 'POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nxyz') {
    client.write(byte)
    await new Promise((resolve) => setImmediate(resolve))
  }
  await client.head()
  assert.equal(await client.take(3), 'xyz')
})

test('an absolute-form target becomes origin-form, and its authority the Host', async (t) => {
  const origin = await startOrigin(
    t,
    answering((head) => ok(head))
  )
  const { port } = await startSimpleProxy(t, [origin.address])
  const answer = await roundTrip(
    t,
    port,
    'GET http://real.test:81/p?q HTTP/1.1\r\nHost: other\r\nConnection: close\r\n\r\n'
  )
  assert.match(answer, /\r\n\r\nGET \/p\?q HTTP\/1\.1\r\nHost: real\.test:81\r\n/)
})
