/** What code may rely on though no RFC says it: the same through our codec as through node:http's. */
import assert from 'node:assert/strict'
import { IncomingMessage, type ServerOptions, type ServerResponse } from 'node:http'
import { type TestContext, test } from 'node:test'
import { ServerScene, settled } from './server-scene.ts'

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'
const POST = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n'

/** What both codecs answer to `bytes`, and which errors they tell `clientError` of. */
async function both(
  t: TestContext,
  bytes: string,
  options: ServerOptions = {},
  listener = (_request: IncomingMessage, response: ServerResponse): void => {
    response.end('answered')
  }
): Promise<string[]> {
  const seen = []
  for (const codec of ['own', 'node'] as const) {
    const scene = new ServerScene(t, codec, options)
    scene.server.on('request', listener)
    scene.server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
      seen.push(error.code ?? '')
      socket.destroy()
    })
    const { output } = await scene.exchange(bytes)
    seen.push(/^HTTP\/1.1 (\d+)/.exec(output)?.[1] ?? output)
  }
  return seen
}

test('a method node:http does not know is refused', async (t) => {
  const bytes = GET.replace('GET', 'UNKNOWN')
  assert.deepEqual(await both(t, bytes), ['HPE_INVALID_METHOD', '', 'HPE_INVALID_METHOD', ''])
  assert.deepEqual(await both(t, GET.replace('GET', 'M-SEARCH')), ['200', '200'])
})

test('requireHostHeader: false', async (t) => {
  const bytes = 'GET / HTTP/1.1\r\nConnection: close\r\n\r\n'
  assert.deepEqual(await both(t, bytes, { requireHostHeader: false }), ['200', '200'])
  const [error, nothing, refused] = await both(t, bytes)
  assert.deepEqual([error, nothing, refused], ['HPE_INVALID_HEADER_TOKEN', '', '400'])
})

test('a response that breaks in the turn of its first chunk is none', async (t) => {
  const breaks = (_request: IncomingMessage, response: ServerResponse) => {
    response.write('part')
    response.destroy()
  }
  assert.deepEqual(await both(t, GET, {}, breaks), ['', ''])
})

test('a request that is given up without its socket can still be answered', async (t) => {
  const givesUp = (request: IncomingMessage, response: ServerResponse) => {
    response.write('answered')
    // As undici does with a body whose rest nobody wants.
    const isRequest = Object.getPrototypeOf(request).constructor === IncomingMessage
    if (isRequest) Object.assign(request, { socket: null })
    request.destroy()
    response.end()
  }
  const bytes = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\na'
  assert.deepEqual(await both(t, bytes, {}, givesUp), ['200', '200'])
})

test('a first chunk waits for the end of the turn, in front of what follows', async (t) => {
  const scene = new ServerScene(t)
  const told: string[] = []
  let response: ServerResponse | undefined
  scene.server.on('request', (_request, made) => {
    response = made
    made.once('drain', () => told.push('drain'))
    told.push(`room: ${made.write('a'.repeat(100_000), () => told.push('written'))}`)
    told.push(`waiting: ${made.writableLength}`)
  })
  const stream = await scene.exchange(GET)
  assert.deepEqual(told, ['room: false', 'waiting: 100000', 'drain', 'written'])
  response!.end('b')
  await settled()
  assert.match(stream.output, /a\r\n1\r\nb\r\n0\r\n\r\n$/)
})

test('a write is told when its response broke before it left', async (t) => {
  const scene = new ServerScene(t)
  const told: unknown[] = []
  scene.server.on('request', (_request, response) => {
    response.write('part', (error) => told.push((error as NodeJS.ErrnoException | null)?.code))
    response.destroy()
  })
  await scene.exchange(GET)
  assert.deepEqual(told, ['ECONNRESET'])
})

test('a client that half-closes has gone, unless the server says otherwise', async (t) => {
  const scene = new ServerScene(t)
  const told: string[] = []
  const responses: ServerResponse[] = []
  scene.server.on('request', (request, response) => {
    responses.push(response)
    request.once('aborted', () => told.push('aborted'))
    response.once('close', () => told.push(`closed: ${response.writableFinished}`))
  })
  const waiting = await scene.exchange(GET)
  waiting.finish()
  await settled()
  assert.deepEqual(told.splice(0), ['aborted', 'closed: false'])
  assert.ok(waiting.destroyed)
  assert.equal(waiting.output, '')

  // What was answered before arrives all the same.
  const slow = scene.connect()
  slow.stall()
  slow.deliver(GET)
  await settled()
  responses[1]!.end('answer')
  slow.finish()
  await settled()
  slow.unstall()
  await settled()
  assert.match(slow.output, /answer$/)
  assert.deepEqual(told, ['closed: true'])
  assert.ok(slow.destroyed)
})

test('who half-closes behind its requests hears what needs no more than ticks', async (t) => {
  const scene = new ServerScene(t)
  const aborted: (string | undefined)[] = []
  scene.server.on('request', async (request, response) => {
    request.once('aborted', () => aborted.push(request.url))
    if (request.url === '/waits') return
    for (let tick = 0; tick < 5; tick++) await new Promise<void>((done) => process.nextTick(done))
    response.end(`<${request.url}>`)
  })
  const stream = scene.connect()
  stream.deliver(['/a', '/b', '/waits', '/late'].map((path) => GET.replace('/', path)).join(''))
  // In the turn of its requests: there is no other one between, as there is behind a socket.
  stream.finish()
  await settled()
  assert.deepEqual(stream.output.match(/<.*?>/g), ['</a>', '</b>'])
  assert.deepEqual(aborted, ['/waits'])
  assert.ok(stream.destroyed)
})

for (const codec of ['own', 'node'] as const) {
  test(`who listens until the response closes need not hear of the client: ${codec}`, async (t) => {
    const scene = new ServerScene(t, codec)
    const errors: Error[] = []
    scene.server.on('request', (request, response) => {
      const listen = (error: Error) => errors.push(error)
      request.on('error', listen)
      response.on('close', () => request.off('error', listen))
    })
    const stream = scene.connect()
    stream.deliver(POST)
    await settled()
    stream.reset()
    // An error that nobody listens to would fail the test.
    await settled()
    assert.deepEqual(errors, [])
  })

  const skip = 'signal' in IncomingMessage.prototype ? false : 'Node 24 has it'
  test(`request.signal aborts until the response has left: ${codec}`, { skip }, async (t) => {
    const scene = new ServerScene(t, codec)
    const signals: AbortSignal[] = []
    scene.server.on('request', (request, response) => {
      signals.push((request as IncomingMessage & { signal: AbortSignal }).signal)
      if (signals.length < 20) response.end()
    })
    const stream = scene.connect()
    const listeners = () => stream.listenerCount('close')
    stream.deliver(GET)
    await settled()
    const before = listeners()
    for (let i = 1; i < 19; i++) stream.deliver(GET)
    await settled()
    assert.equal(listeners(), before)
    stream.deliver(GET)
    await settled()
    stream.reset()
    await settled()
    assert.deepEqual(
      signals.map(({ aborted }) => aborted),
      signals.map((_, i) => i === 19)
    )
  })
}
