/** One connection from its first byte to its last, and what breaks in between. */
import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { IncomingMessage, ServerResponse } from 'node:http'
import { finished } from 'node:stream'
import { test } from 'node:test'
import { ServerScene, settled } from './server-scene.ts'
import type { TestStream } from './test-stream.ts'

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'
const POST = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n'

test('the objects are those of node:http', async (t) => {
  const scene = new ServerScene(t)
  const { server } = scene
  const seen = once(server, 'request')
  const stream = scene.connect()
  stream.deliver(GET)
  const [request, response] = await seen
  assert.ok(request instanceof IncomingMessage)
  assert.ok(response instanceof ServerResponse)
  assert.equal(request.socket, stream)
  assert.equal(request.connection, stream)
  assert.equal(response.socket, stream)
  assert.equal(response.req, request)
  assert.equal(stream.output, '')
  response.end()
  await settled()
  // As node:http does.
  assert.equal(response.socket, null)
  assert.deepEqual(
    [request.complete, request.readableEnded, request.destroyed, response.destroyed],
    [true, true, true, true]
  )
  // Late, and told at once.
  await new Promise((resolve) => finished(request, resolve))
  await new Promise((resolve) => finished(response, resolve))
})

test('a request in pieces of one byte', async (t) => {
  const scene = new ServerScene(t)
  const { server } = scene
  server.on('request', (request, response) => request.pipe(response))
  const stream = scene.connect()
  for (const byte of `${POST}0123456789`) stream.deliver(byte)
  await settled()
  assert.match(stream.output, /^HTTP\/1\.1 200 OK[\s\S]*\r\n0\r\n\r\n$/)
  const digits = stream.output.split('\r\n').filter((line) => /^\d{1,2}$/.test(line))
  assert.equal(digits.length, 21)
})

test('requests sent together are served one after another, in order', async (t) => {
  const scene = new ServerScene(t)
  const { server } = scene
  const waiting: [string, ServerResponse][] = []
  server.on('request', (request, response) => waiting.push([request.url ?? '', response]))
  const stream = scene.connect()
  stream.deliver(['/a', '/b', '/c'].map((path) => GET.replace('/', path)).join(''))
  stream.deliver(GET.replace('/', '/d'))
  for (const expected of ['/a', '/b', '/c', '/d']) {
    await settled()
    // One at a time: what waits holds the client back.
    assert.equal(waiting.length, 1)
    const [path, response] = waiting.pop()!
    assert.equal(path, expected)
    assert.equal(stream.wirePaused, expected !== '/d')
    response.end(path)
  }
  await settled()
  assert.deepEqual(stream.output.match(/\/\w$|\/\w(?=HTTP)/g), ['/a', '/b', '/c', '/d'])
  assert.equal(stream.wirePaused, false)
})

test('bodies of requests sent together do not mix', async (t) => {
  const scene = new ServerScene(t)
  const { server } = scene
  server.on('request', async (request, response) => {
    let text = ''
    for await (const chunk of request) text += chunk
    response.end(`<${text}>`)
  })
  const stream = scene.connect()
  stream.deliver(`${POST}0123456789${POST}abcdefghij${GET}`)
  await settled()
  assert.deepEqual(stream.output.match(/<.*?>/g), ['<0123456789>', '<abcdefghij>', '<>'])
})

test('the rest of a body whose beginning waited behind another request is read', async (t) => {
  const scene = new ServerScene(t)
  scene.server.on('request', async (request, response) => {
    let text = ''
    for await (const chunk of request) text += chunk
    response.end(`<${text}>`)
  })
  const stream = scene.connect()
  stream.deliver(`${POST}0123456789${POST}abc`)
  await settled()
  stream.deliver('defghij')
  await settled()
  assert.deepEqual(stream.output.match(/<.*?>/g), ['<0123456789>', '<abcdefghij>'])
})

test('maxRequestsPerSocket, keep-alive and the last response', async (t) => {
  const scene = new ServerScene(t)
  const { server } = scene
  server.maxRequestsPerSocket = 2
  let dropped = 0
  server.on('dropRequest', () => dropped++)
  server.on('request', (_request, response) => response.end())
  const stream = scene.connect()
  stream.deliver(GET + GET + GET)
  await settled()
  assert.deepEqual(stream.output.match(/HTTP\/1\.1 \d+|^Connection: \S+|^Keep-Alive: .*/gm), [
    'HTTP/1.1 200',
    'Connection: keep-alive',
    'Keep-Alive: timeout=5, max=2',
    'HTTP/1.1 200',
    'Connection: close',
    'HTTP/1.1 503',
    'Connection: close'
  ])
  assert.equal(dropped, 1)
})

test('httpAllowHalfOpen: a client that half-closes is answered, then closed', async (t) => {
  const scene = new ServerScene(t)
  const { server } = scene
  Object.assign(server, { httpAllowHalfOpen: true })
  const responses: ServerResponse[] = []
  server.on('request', (_request, response) => responses.push(response))
  const stream = scene.connect()
  stream.deliver(GET + GET)
  stream.finish()
  await settled()
  responses[0]!.end('first')
  await settled()
  assert.equal(stream.destroyed, false)
  responses[1]!.end('second')
  await settled()
  assert.match(stream.output, /first[\s\S]*second$/)
  assert.ok(stream.ended)
  assert.ok(stream.destroyed)
})

test('a client that half-closes in the middle is told so', async (t) => {
  for (const part of [GET.slice(0, 20), `${POST}0123`]) {
    const scene = new ServerScene(t)
    const { server } = scene
    server.on('request', (request) => request.resume())
    const errors: string[] = []
    server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
      errors.push(error.code ?? '')
      socket.destroy()
    })
    const stream = scene.connect()
    stream.deliver(part)
    stream.finish()
    await settled()
    assert.deepEqual(errors, ['HPE_INVALID_EOF_STATE'])
  }
})

test('a client that goes away aborts its request, wherever it is', async (t) => {
  const steps: Record<
    string,
    [string, (request: IncomingMessage, response: ServerResponse) => void]
  > = {
    'before a body': [POST, () => undefined],
    'in a body that is read': [`${POST}012`, (request) => request.resume()],
    'after the request': [GET, () => undefined],
    'after a body that was read': [`${POST}0123456789`, (request) => request.resume()],
    'in a response': [GET, (_request, response) => response.write('part')]
  }
  for (const [name, [bytes, handle]] of Object.entries(steps)) {
    const scene = new ServerScene(t)
    const { server } = scene
    const events: string[] = []
    server.on('request', (request, response) => {
      for (const event of ['aborted', 'close']) request.on(event, () => events.push(`req ${event}`))
      request.on('error', ({ code }: NodeJS.ErrnoException) => events.push(`req ${code}`))
      for (const event of ['finish', 'close']) response.on(event, () => events.push(`res ${event}`))
      handle(request, response)
    })
    const stream = scene.connect()
    stream.deliver(bytes)
    await settled()
    stream.reset()
    await settled()
    assert.deepEqual(events, ['req aborted', 'res close', 'req ECONNRESET', 'req close'], name)
  }
})

test('a response that has left is finished, even when its client goes away at once', async (t) => {
  const scene = new ServerScene(t)
  const { server } = scene
  const events: string[] = []
  server.on('request', (request, response) => {
    request.on('aborted', () => events.push('aborted'))
    for (const event of ['finish', 'close']) response.on(event, () => events.push(event))
    response.end('x')
    request.socket.destroy()
  })
  const stream = scene.connect()
  stream.deliver(GET)
  await settled()
  assert.deepEqual(events, ['finish', 'close'])
})

test('destroying the request, the response or the socket ends the connection', async (t) => {
  for (const which of ['request', 'response', 'socket'] as const) {
    const scene = new ServerScene(t)
    const { server } = scene
    const events: string[] = []
    server.on('request', (request, response) => {
      request.on('close', () => events.push('req close'))
      response.on('close', () => events.push('res close'))
      ;({ request, response, socket: request.socket })[which].destroy()
      assert.equal(response.write('late'), false)
      response.on('error', () => undefined).end('later')
    })
    const stream = scene.connect()
    stream.deliver(GET)
    await settled()
    assert.ok(stream.destroyed, which)
    assert.equal(stream.output, '')
    assert.deepEqual(events.toSorted(), ['req close', 'res close'], which)
  }
})

test('a listener that throws costs its own request only', async (t) => {
  const scene = new ServerScene(t)
  const { server } = scene
  server.on('request', (request, response) => {
    if (request.url === '/bad') {
      setImmediate(() => response.end('late'))
      throw new Error('as asked')
    }
    response.end('good')
  })
  const stream = scene.connect()
  assert.throws(() => stream.deliver(GET.replace('/', '/bad') + GET), /as asked/)
  await settled()
  assert.match(stream.output, /late[\s\S]*good$/)
})

test('upgrade and CONNECT give the stream back, with what came behind the head', async (t) => {
  for (const [event, head] of [
    ['upgrade', 'GET /u HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n'],
    ['connect', 'CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n']
  ] as const) {
    const scene = new ServerScene(t)
    const { server } = scene
    server.on('request', () => assert.fail('not a request'))
    const seen = once(server, event)
    const stream = scene.connect()
    stream.deliver(`${head}behind`)
    const [request, socket, rest] = await seen
    assert.equal(request.upgrade, true)
    assert.equal(socket, stream)
    assert.equal(String(rest), 'behind')
    const data = once(socket, 'data')
    stream.deliver('more')
    assert.equal(String((await data)[0]), 'more')
    socket.end('HTTP/1.1 101 Switching Protocols\r\n\r\n')
    assert.match(stream.output, /^HTTP\/1\.1 101/)
  }
})

test('CONNECT that nobody takes ends the connection; an upgrade with a body is a request', async (t) => {
  const scene = new ServerScene(t)
  const { server } = scene
  const refused = scene.connect()
  refused.deliver('CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n')
  assert.ok(refused.destroyed)
  server.on('upgrade', () => assert.fail('with a body'))
  server.on('request', (request, response) => request.pipe(response))
  const stream = scene.connect()
  stream.deliver(
    'POST / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\nContent-Length: 2\r\n\r\nab'
  )
  await settled()
  assert.match(stream.output, /\r\nab\r\n/)
})

test('bytes that are not HTTP are a clientError with the codes of node:http', async (t) => {
  const cases = [
    ['G@T / HTTP/1.1\r\n', 'HPE_INVALID_METHOD', 400],
    ['GET / HTTP/1.1\r\n\r\n', 'HPE_INVALID_HEADER_TOKEN', 400],
    ['GET / HTTP/1.1\nHost: a\n\n', 'HPE_LF_EXPECTED', 400],
    ['GET / HTTP/2.0\r\nHost: a\r\n\r\n', 'HPE_INVALID_VERSION', 505],
    ['GET / HTTP/1.1\r\nHost: a\r\nA : b\r\n\r\n', 'HPE_INVALID_HEADER_TOKEN', 400],
    [
      'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
      'HPE_UNEXPECTED_CONTENT_LENGTH',
      400
    ],
    [
      'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
      'HPE_INVALID_CHUNK_SIZE',
      400
    ],
    [`GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, 'HPE_HEADER_OVERFLOW', 431]
  ] as const
  for (const [bytes, code, status] of cases) {
    const alone = new ServerScene(t)
    alone.server.on('request', (request) => request.resume())
    const stream = alone.connect()
    stream.deliver(bytes)
    await settled()
    assert.match(stream.output, new RegExp(`^HTTP/1\\.1 ${status} [^]*Connection: close\r\n\r\n$`))
    assert.ok(stream.destroyed)

    const handled = new ServerScene(t)
    handled.server.on('request', (request) => request.resume())
    const seen = once(handled.server, 'clientError')
    handled.connect().deliver(bytes)
    const [error, socket] = await seen
    assert.equal(error.code, code)
    socket.end('HTTP/1.1 418 x\r\n\r\n')
    assert.match((socket as TestStream).output, /^HTTP\/1\.1 418/)
  }
})

test('a bad chunk after the response has begun only ends the connection', async (t) => {
  const scene = new ServerScene(t)
  const { server } = scene
  server.on('request', (_request, response) => response.write('begun'))
  const stream = scene.connect()
  stream.deliver('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n')
  stream.deliver('zz\r\n')
  await settled()
  assert.doesNotMatch(stream.output, / 400 /)
  assert.ok(stream.destroyed)
})

test('each request has its own async context, on one connection too', async (t) => {
  const scene = new ServerScene(t)
  const { server } = scene
  const storage = new AsyncLocalStorage<string>()
  const seen: unknown[] = []
  server.on('request', (request, response) => {
    seen.push(storage.getStore())
    storage.enterWith(request.url ?? '')
    const note = (event: string) => seen.push(`${event} ${storage.getStore()}`)
    request.on('data', () => note('data')).on('end', () => note('end'))
    response.on('finish', () => note('finish')).on('close', () => note('close'))
    setImmediate(() => response.end())
  })
  const stream = scene.connect()
  stream.deliver(`${POST.replace('/', '/a')}0123456789${GET.replace('/', '/b')}`)
  await settled()
  assert.deepEqual(seen, [
    undefined,
    'data /a',
    'end /a',
    'finish /a',
    undefined,
    'close /a',
    'end /b',
    'finish /b',
    'close /b'
  ])
})

test('diagnostics channels tell of each request as node:http does', async (t) => {
  const scene = new ServerScene(t)
  const { server } = scene
  const names = ['request.start', 'response.finish']
  const seen: string[] = []
  const listeners = names.map((name) => {
    const listener = (message: unknown) => {
      const keys = Object.keys(message as object).join()
      seen.push(`${name} ${keys}`)
    }
    subscribe(`http.server.${name}`, listener)
    return () => unsubscribe(`http.server.${name}`, listener)
  })
  t.after(() => {
    for (const stop of listeners) stop()
  })
  server.on('request', (_request, response) => response.end())
  scene.connect().deliver(GET)
  await settled()
  assert.deepEqual(seen, [
    'request.start request,response,socket,server',
    'response.finish request,response,socket,server'
  ])
})

test('a drain ends idle connections at once and busy ones after their response', async (t) => {
  const scene = new ServerScene(t)
  const responses: ServerResponse[] = []
  scene.server.on('request', (_request, response) => responses.push(response))
  const idle = scene.connect()
  const busy = scene.connect()
  busy.deliver(GET)
  const drained = scene.connections.drain(60_000)
  await settled()
  assert.deepEqual([idle.destroyed, busy.destroyed], [true, false])
  responses[0]!.end('last')
  await drained
  assert.match(busy.output, /Connection: close[\s\S]*last$/)
})
