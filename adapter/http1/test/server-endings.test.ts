/** How a connection ends: clients that half-close, leave or send nonsense, listeners that throw, a drain. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { test } from 'node:test'
import { HttpConnections } from '../server/index.ts'
import { ServerConnections } from '../server-connections.ts'
import { ServerScene, settled } from './server-scene.ts'
import { TestStream } from './test-stream.ts'

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'
const POST = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n'

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

for (const Connections of [HttpConnections, ServerConnections]) {
  test(`a drain answers a request whose head was half there: ${Connections.name}`, async () => {
    const server = createServer((_request, response) => response.end('last'))
    const connections = new Connections(server)
    const [whole, half] = [new TestStream(), new TestStream()]
    for (const stream of [whole, half]) {
      connections.add(stream)
      stream.deliver(GET.slice(0, 20))
    }
    await settled()
    const drained = connections.drain(60_000)
    assert.equal(whole.destroyed, false)
    whole.deliver(GET.slice(20))
    await drained
    assert.match(whole.output, /^HTTP\/1\.1 200 [\s\S]*Connection: close[\s\S]*last$/i)
    // Who sends no more of it does not keep the server.
    assert.equal(half.output, '')
    assert.ok(half.destroyed)
  })
}
