/** Habits of undici's own client that its users, and its tests, rely on. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { Pool } from 'undici'
import { ShmAgent, type ShmAgentOptions } from '../undici/index.ts'
import { startScripted, transcribe } from './scripted.ts'
import { scene } from './support/scene.ts'

const ORIGIN = 'http://app.test'
const OK = 'HTTP/1.1 200 OK\r\n'
const SCRIPT = {
  '/': { parts: [`${OK}content-length: 2\r\n\r\nok`] },
  '/begun': { parts: [`${OK}content-length: 10\r\n\r\nbegun`, 'rest.'] },
  '/empty': { parts: [`${OK}content-length: 0\r\n\r\n`] },
  '/early': { parts: [`${OK}content-length: 2\r\n\r\nno`], early: true },
  '/short': {
    parts: [`${OK}connection: close\r\ncontent-length: 9\r\n\r\n123`],
    finally: 'end'
  },
  '/open': {
    parts: [`${OK}connection: close\r\ntransfer-encoding: chunked\r\n\r\n3\r\n123\r\n`],
    finally: 'end'
  },
  '/cut': { parts: [`${OK}content-length: 9\r\n\r\n123`], finally: 'end' },
  '/destroyed': { parts: [`${OK}content-length: 9\r\n\r\n123`], finally: 'destroy' },
  '/continue': { parts: [`HTTP/1.1 100 Continue\r\n\r\n${OK}content-length: 2\r\n\r\nok`] }
} as const

async function setUp(t: TestContext, options: ShmAgentOptions = {}) {
  const s = await scene(t)
  const scripted = await startScripted(s, SCRIPT)
  const agent = new ShmAgent({ ...(options.routes === undefined && { uri: s.path }), ...options })
  s.defer(() => agent.destroy())
  return { ...scripted, agent, path: s.path }
}

function get(path: string, more: object = {}) {
  return { origin: ORIGIN, path, method: 'GET', ...more } as const
}

test('a short headersTimeout ends with the head', async (t) => {
  const { server, agent } = await setUp(t)
  const ending = transcribe(agent, get('/begun', { headersTimeout: 1000 }))
  await server.call('heads', 1)
  await setTimeout(1500)
  await server.call('next')
  const { events, body } = await ending
  assert.equal(events.at(-1), 'end {}')
  assert.equal(body, 'begunrest.')
})

test('what is refused is refused in the words of undici', async (t) => {
  const { agent } = await setUp(t)
  const cases: [options: object, message: string][] = [
    [{ path: '/a b' }, 'invalid request path'],
    [{ method: 'GE T' }, 'invalid request method'],
    [{ upgrade: 'a\r\nb: c' }, 'invalid upgrade header'],
    [{ headers: { 'a b': 'c' } }, 'invalid header key'],
    [{ headers: { a: 'b\nc' } }, 'invalid a header'],
    [{ headers: { host: 'a\nb' } }, 'invalid host header'],
    [{ headers: { 'content-type': 'a\r\nb' } }, 'invalid content-type header']
  ]
  for (const [options, message] of cases) {
    await assert.rejects(agent.request({ ...get('/'), ...options }), {
      name: 'InvalidArgumentError',
      message
    })
  }
})

test('a response that ends too early says how it was framed', async (t) => {
  const { agent } = await setUp(t)
  for (const [path, code] of [
    ['/short', 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH'],
    ['/open', 'HPE_INVALID_EOF_STATE'],
    ['/cut', 'UND_ERR_SOCKET']
  ] as const) {
    const { events, body } = await transcribe(agent, get(path))
    assert.equal(events.at(-1), `error ${code}`, path)
    assert.equal(body, '123', path)
  }
})

test('a connection that goes within a response is told of in the words of undici', async (t) => {
  const { agent } = await setUp(t)
  for (const path of ['/cut', '/destroyed']) {
    const text = agent.request(get(path)).then(({ body }) => body.text())
    const words = { name: 'SocketError', code: 'UND_ERR_SOCKET', message: 'other side closed' }
    await assert.rejects(text, words, path)
  }
})

test('an error behind the head waits until its body can be listened to', async (t) => {
  const { agent } = await setUp(t, { maxResponseSize: 1 })
  const { body } = await agent.request(get('/'))
  const [error] = (await once(body, 'error')) as [Error & { code: string }]
  assert.equal(error.code, 'UND_ERR_RES_EXCEEDED_MAX_SIZE')
})

test('maxResponseSize 0 takes empty responses, -1 all', async (t) => {
  const { agent, path } = await setUp(t, { maxResponseSize: 0 })
  assert.equal((await transcribe(agent, get('/empty'))).events.at(-1), 'end {}')
  const refused = await transcribe(agent, get('/'))
  assert.equal(refused.events.at(-1), 'error UND_ERR_RES_EXCEEDED_MAX_SIZE')
  const other = new ShmAgent({ uri: path, maxResponseSize: -1 })
  assert.equal((await transcribe(other, get('/'))).body, 'ok')
  await other.close()
})

test('a 100 nobody asked for is a bad response', async (t) => {
  const { agent } = await setUp(t)
  await assert.rejects(agent.request(get('/continue')), {
    code: 'UND_ERR_SOCKET',
    message: 'bad response'
  })
})

test('disconnect comes behind the end of the last exchange, and finds a destroyed agent', async (t) => {
  const { agent } = await setUp(t)
  const told: string[] = []
  agent.on('disconnect', (_origin, _targets, error) => {
    told.push(`disconnect ${(error as Error & { code: string }).code} ${agent.destroyed}`)
  })
  const { body } = await agent.request(get('/', { reset: true }))
  body.on('end', () => told.push('end'))
  const gone = once(agent, 'disconnect')
  body.resume()
  await gone
  assert.deepEqual(told, ['end', 'disconnect UND_ERR_INFO false'])
  await (await agent.request(get('/'))).body.text()
  await agent.destroy()
  assert.equal(told.at(-1), 'disconnect UND_ERR_INFO true')
})

test('maxRequestsPerClient ends connections', async (t) => {
  const { server, agent } = await setUp(t, { maxRequestsPerClient: 2, connections: 1 })
  for (let i = 0; i < 4; i++) await transcribe(agent, get('/'))
  const seen = await server.call('seen')
  assert.deepEqual(
    seen.map(({ connection }) => connection),
    [1, 1, 2, 2]
  )
})

test('strictContentLength: false warns, and never writes past the announced length', async (t) => {
  const { server, agent } = await setUp(t, { strictContentLength: false })
  const warnings: string[] = []
  const onWarning = ({ name }: Error) => warnings.push(name)
  process.on('warning', onWarning)
  t.after(() => process.off('warning', onWarning))
  async function* parts() {
    yield 'ab'
    yield 'cd'
    yield 'ef'
  }
  const post = (path: string, length: number, body: unknown) =>
    transcribe(agent, {
      ...get(path),
      method: 'POST',
      headers: { 'content-length': `${length}` },
      body: body as never
    })
  // What is known is announced as it is.
  await post('/', 10, 'four')
  await post('/', 3, parts())
  // The server answers before it has all.
  await post('/early', 100, parts())
  const seen = await server.call('seen')
  assert.deepEqual(
    seen.map(({ bytes }) => bytes),
    [4, 3]
  )
  assert.deepEqual(
    warnings.filter((name) => name === 'RequestContentLengthMismatchError'),
    new Array(3).fill('RequestContentLengthMismatchError')
  )
  // Nothing is taken for the rest of the short one.
  assert.equal((await transcribe(agent, get('/'))).body, 'ok')
})

test('a GET whose stream turns out empty keeps its connection, one with a body does not', async (t) => {
  const { server, agent } = await setUp(t, { connections: 1 })
  async function* of(...chunks: string[]) {
    yield* chunks
  }
  for (const body of [of(), of('a'), of()]) await transcribe(agent, get('/', { body }))
  const seen = await server.call('seen')
  assert.deepEqual(
    seen.map(({ connection }) => connection),
    [1, 1, 2]
  )
})

test('routes may be a function, asked again once nothing of an origin is open', async (t) => {
  const s = await scene(t)
  await startScripted(s, SCRIPT)
  const asked: string[] = []
  let here: string | undefined
  const fallback = new ShmAgent({ uri: `${s.path}.none` })
  const agent = new ShmAgent({
    fallback,
    routes(host) {
      asked.push(host)
      return here
    }
  })
  s.defer(async () => {
    await agent.destroy()
    await fallback.destroy()
  })
  const refused = await transcribe(agent, get('/')).catch(() => undefined)
  assert.notEqual(refused?.body, 'ok')
  here = `shm://${s.path}`
  assert.equal((await transcribe(agent, get('/'))).body, 'ok')
  assert.equal((await transcribe(agent, get('/'))).body, 'ok')
  assert.deepEqual(asked, ['app.test', 'app.test'])
  here = 'tcp://nowhere'
  await assert.rejects(agent.request({ ...get('/'), origin: 'http://other.test' }), {
    code: 'SHM_ERR_INVALID_ARG'
  })
})

test('a handler that lacks a method is refused as undici refuses it', async (t) => {
  const { tcp, agent } = await setUp(t)
  const pool = new Pool(tcp)
  t.after(() => pool.destroy())
  const whole = Object.fromEntries(
    ['onConnect', 'onUpgrade', 'onHeaders', 'onData', 'onComplete'].map((name) => [name, () => {}])
  )
  for (const [options, names] of [
    [{ method: 'GET' }, ['onConnect', 'onHeaders', 'onData', 'onComplete', 'onBodySent']],
    [{ method: 'CONNECT' }, ['onConnect', 'onUpgrade', 'onBodySent']],
    [{ method: 'GET', upgrade: 'echo' }, ['onConnect', 'onUpgrade', 'onBodySent']]
  ] as const) {
    for (const name of names) {
      for (const dispatcher of [pool, agent]) {
        let message = ''
        const onError = (error: Error) => {
          message = error.message
        }
        const handler = { ...whole, onError, [name]: null }
        dispatcher.dispatch({ origin: ORIGIN, path: '/', ...options }, handler as never)
        assert.equal(message, `invalid ${name} method`)
      }
    }
  }
})
