/** One connection from its first byte to its last. */
import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { IncomingMessage, ServerResponse } from 'node:http'
import { finished } from 'node:stream'
import { test } from 'node:test'
import { ServerScene, settled } from './server-scene.ts'

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
