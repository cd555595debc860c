/** Deadlines of requests, and pauses that do not count. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { ShmAgent, type ShmAgentOptions } from '../undici/index.ts'
import { startScripted, transcribe } from './scripted.ts'
import { eventually } from './support/eventually.ts'
import { scene } from './support/scene.ts'

const ORIGIN = 'http://app.test'
const HEAD = 'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n'
const SCRIPT = {
  '/': { parts: ['HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'] },
  '/never': {},
  '/begun': { parts: [`${HEAD}begun`, 'rest.'] },
  '/large': { parts: ['HTTP/1.1 200 OK\r\ncontent-length: 8000000\r\n\r\n'], fill: 8_000_000 },
  '/hints': { parts: ['HTTP/1.1 103 Early Hints\r\n\r\n', `${HEAD}0123456789`] }
}

async function setUp(t: TestContext, options: ShmAgentOptions = {}) {
  const s = await scene(t)
  const { server } = await startScripted(s, SCRIPT)
  const agent = new ShmAgent({ uri: s.path, ...options })
  s.defer(() => agent.destroy())
  return { server, agent }
}

function get(path: string, more: object = {}) {
  return { origin: ORIGIN, path, method: 'GET', ...more } as const
}

test('a response that does not begin, or does not go on', async (t) => {
  const { agent } = await setUp(t)
  // Short ones are kept exactly, long ones by the coarse clock.
  for (const ms of [20, 1001]) {
    const head = transcribe(agent, get('/never', { headersTimeout: ms }))
    const hints = transcribe(agent, get('/hints', { headersTimeout: ms }))
    const body = transcribe(agent, get('/begun', { bodyTimeout: ms }))
    assert.equal((await head).events.at(-1), 'error UND_ERR_HEADERS_TIMEOUT', `${ms} ms`)
    assert.equal((await hints).events.at(-1), 'error UND_ERR_HEADERS_TIMEOUT', `${ms} ms`)
    assert.equal((await body).events.at(-1), 'error UND_ERR_BODY_TIMEOUT', `${ms} ms`)
    assert.equal((await body).body, 'begun')
  }
})

for (const [option, path, code] of [
  ['headersTimeout', '/never', 'UND_ERR_HEADERS_TIMEOUT'],
  ['bodyTimeout', '/begun', 'UND_ERR_BODY_TIMEOUT']
] as const) {
  test(`the agent's ${option} applies`, async (t) => {
    const { agent } = await setUp(t, { [option]: 20 })
    assert.equal((await transcribe(agent, get(path))).events.at(-1), `error ${code}`)
  })
}

test('neither counts while the other end is not to blame', async (t) => {
  const { server, agent } = await setUp(t)
  // The body is slow, not the server.
  async function* slow() {
    yield 'a'
    await setTimeout(1500)
    yield 'b'
  }
  const upload = await transcribe(agent, {
    ...get('/'),
    method: 'POST',
    body: slow() as never,
    headersTimeout: 1000
  })
  assert.equal(upload.events.at(-1), 'end {}')

  // The handler does not read.
  const told: string[] = []
  await new Promise<void>((resolve) => {
    agent.dispatch(get('/begun', { bodyTimeout: 1000 }), {
      onRequestStart() {},
      onResponseStart(controller: { pause(): void; resume(): void }) {
        controller.pause()
        Promise.all([setTimeout(1500), server.call('next')]).then(() => {
          told.push('resumed')
          controller.resume()
        })
      },
      onResponseData: (_controller: unknown, chunk: Buffer) => told.push(chunk.toString()),
      onResponseEnd: () => resolve(),
      onResponseError(_controller: unknown, error: Error) {
        told.push(error.message)
        resolve()
      }
    } as never)
  })
  assert.equal(told.join(' '), 'resumed begun rest.')
})

test('a response that is not read holds the server back', async (t) => {
  const { server, agent } = await setUp(t)
  let resume: (() => void) | undefined
  let bytes = 0
  const ended = new Promise<void>((resolve) => {
    agent.dispatch(get('/large'), {
      onRequestStart() {},
      onResponseStart(controller: { pause(): void; resume(): void }) {
        controller.pause()
        resume = () => controller.resume()
      },
      onResponseData(_controller: unknown, chunk: Buffer) {
        bytes += chunk.length
      },
      onResponseEnd: () => resolve()
    } as never)
  })
  await eventually('the response has begun', () => resume !== undefined)
  // Time enough for all of it.
  for (let i = 0; i < 50; i++) await transcribe(agent, get('/'))
  assert.ok((await server.call('unsent')) > 1_000_000)
  assert.equal(bytes, 0)
  resume?.()
  await ended
  assert.equal(bytes, 8_000_000)
})

test('a request does not wait for a connection for ever', async (t) => {
  const { server, agent } = await setUp(t, { connections: 1, connectTimeout: 1000 })
  const abort = new AbortController()
  const holder = agent.request({ ...get('/never'), signal: abort.signal })
  const ended = assert.rejects(holder, { name: 'AbortError' })
  await server.call('heads', 1)
  const { events } = await transcribe(agent, get('/'))
  assert.equal(events.at(-1), 'error UND_ERR_CONNECT_TIMEOUT')
  abort.abort()
  await ended
  await eventually('the connection is free again', async () => {
    return (await server.call('connections')) === 0
  })
  assert.equal((await transcribe(agent, get('/'))).events.at(-1), 'end {}')
})
