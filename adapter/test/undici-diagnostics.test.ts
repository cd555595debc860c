/** undici's diagnostics channels, through which tracing sees requests and adds its headers. */
import assert from 'node:assert/strict'
import { type ChannelListener, subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Duplex } from 'node:stream'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { inspect } from 'node:util'
import { type buildConnector, Pool } from 'undici'
import { agentFor, startScripted, transcribe } from './scripted.ts'
import { scene } from './support/scene.ts'

const ORIGIN = 'http://app.test'
const SCRIPT = {
  '/': {
    parts: [
      'HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n' +
        '2\r\nok\r\n0\r\nx-sum: 1\r\n\r\n'
    ]
  },
  '/cut': { finally: 'destroy' }
} as const

const CHANNELS = [
  'request:create',
  'request:bodySent',
  'request:bodyChunkSent',
  'request:bodyChunkReceived',
  'request:headers',
  'request:trailers',
  'request:error',
  'client:beforeConnect',
  'client:connected',
  'client:connectError',
  'client:sendHeaders'
]

function listen(t: TestContext, channel: string, listener: ChannelListener): void {
  subscribe(channel, listener)
  t.after(() => unsubscribe(channel, listener))
}

interface Message {
  readonly request?: {
    readonly method: string
    readonly path: string
    readonly body: unknown
    completed: boolean
  }
  readonly response?: {
    readonly statusCode: number
    readonly statusText: string
    headers: Buffer[]
  }
  readonly trailers?: readonly Buffer[]
  readonly headers?: string
  readonly chunk?: Uint8Array | string
  readonly error?: { readonly code: string }
  readonly connectParams?: { readonly host: string; readonly version: string }
  readonly connector?: unknown
}

/** What must be the same as with undici itself. */
function describe(channel: string, message: Message): string {
  const { request, response, trailers, headers, chunk, error, connectParams, connector } = message
  const parts = [channel.replace('undici:', '')]
  if (request !== undefined) {
    const { method, path, completed, body } = request
    parts.push(method, path, String(completed), inspect(body))
  }
  if (response !== undefined) {
    parts.push(
      String(response.statusCode),
      response.statusText,
      response.headers.map(String).join()
    )
  }
  if (trailers !== undefined) parts.push(trailers.map(String).join())
  if (headers !== undefined) parts.push(headers.replace(/host: .*/, 'host: HOST'))
  if (chunk !== undefined) parts.push(inspect(chunk))
  if (error !== undefined) parts.push(error.code)
  if (connectParams !== undefined) parts.push(connectParams.version ?? 'h1', typeof connector)
  return parts.join(' ')
}

test('channels say what they say for undici over TCP', async (t) => {
  const s = await scene(t)
  const { tcp } = await startScripted(s, SCRIPT)
  const agent = agentFor(s)
  const pool = new Pool(tcp)
  s.defer(() => pool.destroy())
  let told: string[] = []
  for (const name of CHANNELS) {
    const channel = `undici:${name}`
    listen(t, channel, (message) => told.push(describe(channel, message as Message)))
  }
  for (const options of [
    { path: '/', method: 'GET' },
    { path: '/', method: 'POST', body: 'abc', headers: { a: 'b' } },
    // Not idempotent: it is not tried again.
    { path: '/cut', method: 'PATCH', reset: true }
  ] as const) {
    const both: string[][] = []
    for (const dispatcher of [pool, agent]) {
      told = []
      await transcribe(dispatcher, { origin: ORIGIN, ...options })
      // undici tells the channels of a request and those of its connection in another order.
      both.push(told.map((text) => text.replace('ECONNRESET', 'UND_ERR_SOCKET')).sort())
    }
    assert.deepEqual(both[1], both[0], `${options.method} ${options.path}`)
  }
})

test('a header added when a request is created is sent, and checked', async (t) => {
  const s = await scene(t)
  const { server } = await startScripted(s, SCRIPT)
  const agent = agentFor(s)
  let value = '00-trace-01'
  const seen: unknown[] = []
  listen(t, 'undici:request:create', (message) => {
    const { request } = message as {
      request: {
        addHeader(name: string, value: string): unknown
        headers: string[]
        origin: string
      }
    }
    seen.push(request.origin, [...request.headers])
    request.addHeader('traceparent', value)
  })
  const send = () =>
    transcribe(agent, { origin: ORIGIN, path: '/', method: 'GET', headers: { a: 'b' } })
  assert.match((await send()).events.at(-1)!, /^end/)
  assert.deepEqual(seen, [ORIGIN, ['a', 'b']])
  const [request] = await server.call('seen')
  assert.deepEqual(request?.headers.slice(4), ['a', 'b', 'traceparent', '00-trace-01'])
  value = 'x\r\ninjected: 1'
  assert.deepEqual((await send()).events, ['error UND_ERR_INVALID_ARG'])
})

test('a refused connection is told', async (t) => {
  const s = await scene(t)
  const agent = agentFor(s)
  const told: string[] = []
  for (const name of ['client:beforeConnect', 'client:connectError', 'request:error']) {
    listen(t, `undici:${name}`, (message) => told.push(describe(name, message as Message)))
  }
  await transcribe(agent, { origin: ORIGIN, path: '/', method: 'GET' })
  assert.deepEqual(told, [
    'client:beforeConnect h1 function',
    'client:connectError UND_ERR_SOCKET h1 function',
    'request:error GET / false null UND_ERR_SOCKET'
  ])
})

test('the connector that is told opens connections', async (t) => {
  const s = await scene(t)
  await startScripted(s, SCRIPT)
  const agent = agentFor(s)
  let connector: buildConnector.connector | undefined
  listen(t, 'undici:client:connected', (message) => {
    ;({ connector } = message as { connector: buildConnector.connector })
  })
  await transcribe(agent, { origin: ORIGIN, path: '/', method: 'GET' })
  const socket = await new Promise<Duplex>((resolve, reject) => {
    connector!({} as never, (error, socket) => (error === null ? resolve(socket) : reject(error)))
  })
  socket.end('GET / HTTP/1.1\r\nhost: a\r\n\r\n')
  assert.match(await text(socket), /^HTTP\/1.1 103 .*\r\nok\r\n0/s)
})
