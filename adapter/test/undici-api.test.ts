/** What undici's users rely on, beyond a request and its answer. */
import assert from 'node:assert/strict'
import { type EventEmitter, once } from 'node:events'
import { rmSync } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type TestContext, test } from 'node:test'
import { type Dispatcher, FormData, fetch, interceptors } from 'undici'
import type { ShmAgent } from '../undici/index.ts'
import { type App, agentFor, startApp } from './app.ts'
import { pattern, sha256 } from './support/pattern.ts'
import { scene } from './support/scene.ts'

const ORIGIN = 'http://app.local'

async function setUp(t: TestContext): Promise<{ app: App; agent: ShmAgent; path: string }> {
  const s = await scene(t)
  const { app } = await startApp(s)
  return { app, agent: agentFor(s), path: s.path }
}

function get(agent: Dispatcher, path: string): Promise<Dispatcher.ResponseData> {
  return agent.request({ origin: ORIGIN, path, method: 'GET' })
}

test('pipeline() streams both ways', async (t) => {
  const { agent } = await setUp(t)
  const all = pattern(3_000_000)
  const duplex = agent.pipeline(
    {
      origin: ORIGIN,
      path: '/echo',
      method: 'POST',
      headers: { 'content-type': 'application/octet-stream' }
    },
    ({ body }) => body
  )
  const chunks: Buffer[] = []
  await pipeline(
    Readable.from([all.subarray(0, 1_000_000), all.subarray(1_000_000)]),
    duplex,
    async (source: AsyncIterable<Buffer>) => {
      for await (const chunk of source) chunks.push(chunk)
    }
  )
  assert.equal(sha256(Buffer.concat(chunks)), sha256(all))
})

test('request() takes a callback, as @fastify/reply-from calls it', async (t) => {
  const { agent } = await setUp(t)
  const { statusCode, body } = await new Promise<Dispatcher.ResponseData>((resolve, reject) => {
    const options = {
      origin: ORIGIN,
      path: '/text',
      method: 'POST' as const,
      // undefined: skipped.
      headers: { connection: undefined, 'transfer-encoding': undefined, a: 'b' },
      body: Readable.from([Buffer.from('over '), Buffer.from('and back')])
    }
    agent.request(options as never, (error: Error | null, data: Dispatcher.ResponseData) =>
      error === null ? resolve(data) : reject(error)
    )
  })
  assert.equal(statusCode, 200)
  assert.equal(((await body.json()) as { text: string }).text, 'over and back')
})

test('fetch sends every kind of body', async (t) => {
  const { agent } = await setUp(t)
  const form = new FormData()
  form.set('field', 'value')
  form.set('file', new Blob(['contents']), 'name.txt')
  async function* generate() {
    yield 'gene'
    yield 'rated'
  }
  const cases = [
    ['string', 'some text', /^some text$/],
    ['URLSearchParams', new URLSearchParams({ a: 'b' }), /^a=b$/],
    ['Blob', new Blob(['a blob']), /^a blob$/],
    ['ArrayBuffer', new TextEncoder().encode('buffer').buffer, /^buffer$/],
    ['FormData', form, /name="field"\r\n\r\nvalue\r\n[\s\S]*name="file"; filename="name.txt"/],
    ['ReadableStream', new Blob(['a stream']).stream(), /^a stream$/],
    ['generator', generate(), /^generated$/]
  ] as const
  for (const call of [fetch as unknown as typeof globalThis.fetch, globalThis.fetch]) {
    for (const [kind, body, expected] of cases) {
      if (call === globalThis.fetch && ['FormData', 'ReadableStream', 'generator'].includes(kind)) {
        continue
      }
      const response = await call(`${ORIGIN}/text`, {
        method: 'POST',
        body: body as never,
        duplex: 'half',
        dispatcher: agent
      } as never)
      const got = (await response.json()) as { text: string }
      assert.match(got.text, expected, kind)
    }
  }
})

test('a body whose length is told is not chunked, one whose length is not told is', async (t) => {
  const { agent } = await setUp(t)
  for (const [headers, chunked, length] of [
    [{}, true, undefined],
    [{ 'content-length': '8' }, false, '8']
  ] as const) {
    const { body } = await agent.request({
      origin: ORIGIN,
      path: '/text',
      method: 'POST',
      headers,
      body: Readable.from([Buffer.from('12345678')])
    })
    const got = (await body.json()) as { chunked: boolean; length?: string }
    assert.deepEqual([got.chunked, got.length], [chunked, length])
  }
  await assert.rejects(
    agent.request({
      origin: ORIGIN,
      path: '/text',
      method: 'POST',
      headers: { 'content-length': '3' },
      body: '12345678'
    }),
    { code: 'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH' }
  )
})

test('interceptors: retry and redirect', async (t) => {
  const { agent } = await setUp(t)
  const composed = agent.compose(
    interceptors.retry({ maxRetries: 3, minTimeout: 1, statusCodes: [503] }),
    interceptors.redirect({ maxRedirections: 2 })
  )
  const flaky = await get(composed, '/flaky')
  assert.deepEqual([flaky.statusCode, await flaky.body.text()], [200, 'attempt 3'])
  const moved = await get(composed, '/moved')
  assert.equal(((await moved.body.json()) as { hello: string }).hello, 'there')
})

test('an abort is one, whenever it comes', async (t) => {
  const { app, agent } = await setUp(t)
  await assert.rejects(
    agent.request({ origin: ORIGIN, path: '/', method: 'GET', signal: AbortSignal.abort() }),
    { name: 'AbortError' }
  )
  // In the upload: the app learns of it.
  const abort = new AbortController()
  async function* endless() {
    for (;;) yield pattern(50_000)
  }
  const upload = agent.request({
    origin: ORIGIN,
    path: '/text',
    method: 'POST',
    body: Readable.from(endless()),
    signal: abort.signal
  })
  const failed = assert.rejects(upload, { name: 'AbortError' })
  setImmediate(() => abort.abort())
  await failed

  // In the download, through fetch.
  const response = await fetch(`${ORIGIN}/unfinished`, { dispatcher: agent })
  const reader = response.body!.getReader()
  await reader.read()
  await reader.cancel()
  await app.call('aborted', 1)

  const { statusCode, body } = await get(agent, '/hello/after')
  await body.dump()
  assert.equal(statusCode, 200)
})

test('a request body that fails, fails the request', async (t) => {
  const { agent } = await setUp(t)
  async function* broken() {
    yield pattern(100_000)
    throw new Error('the file is gone')
  }
  await assert.rejects(
    agent.request({
      origin: ORIGIN,
      path: '/text',
      method: 'POST',
      body: Readable.from(broken())
    }),
    /the file is gone/
  )
  const { body } = await get(agent, '/hello/after')
  await body.dump()
})

test('headersTimeout and bodyTimeout', async (t) => {
  const { agent } = await setUp(t)
  await assert.rejects(
    agent.request({ origin: ORIGIN, path: '/never', method: 'GET', headersTimeout: 50 }),
    { code: 'UND_ERR_HEADERS_TIMEOUT' }
  )
  const { body } = await agent.request({
    origin: ORIGIN,
    path: '/unfinished',
    method: 'GET',
    bodyTimeout: 50
  })
  await assert.rejects(body.text(), { code: 'UND_ERR_BODY_TIMEOUT' })
})

test('a response shorter than it says is an error', async (t) => {
  const { app, agent, path } = await setUp(t)
  const { body } = await get(agent, '/unfinished')
  const [beginning] = (await once(body, 'data')) as [Buffer]
  assert.equal(beginning.toString(), 'the beginning')
  const failed = assert.rejects(once(body, 'end'), { code: /UND_ERR_SOCKET|ECONNRESET/ })
  await app.kill()
  await failed
  rmSync(path)
})

test('events name the agent first', async (t) => {
  const { app, agent } = await setUp(t)
  const seen: string[] = []
  for (const event of ['connect', 'disconnect']) {
    // Typed apart for each event.
    const emitter: EventEmitter = agent
    emitter.on(event, (origin: URL, targets: readonly unknown[]) => {
      assert.equal(targets[0], agent)
      seen.push(`${event} ${origin.origin}`)
    })
  }
  const { body } = await get(agent, '/hello/x')
  await body.dump()
  const gone = once(agent, 'disconnect')
  await app.call('close')
  await gone
  assert.deepEqual(seen, [`connect ${ORIGIN}`, `disconnect ${ORIGIN}`])
})

test('an origin that is none is an error of the request, not of the caller', async (t) => {
  const { agent } = await setUp(t)
  for (const origin of ['nonsense', 'ftp://a']) {
    await assert.rejects(agent.request({ origin, path: '/', method: 'GET' }))
  }
})
