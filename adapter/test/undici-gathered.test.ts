/** Bodies of undici's `request` that are read as a whole: lent, instead of copied to be kept. */
import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { rmSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import type { Dispatcher } from 'undici'
import { interceptors } from 'undici'
import type { ShmAgent } from '../undici/index.ts'
import { agentFor, type Scripted, startScripted } from './scripted.ts'
import { eventually } from './support/eventually.ts'
import { scene } from './support/scene.ts'

const BYTES = 300_000
const TEXT = JSON.stringify('x'.repeat(BYTES - 2))
const HEAD = `HTTP/1.1 200 OK\r\ncontent-length: ${BYTES}\r\n\r\n`
const SCRIPT = {
  '/': { parts: [HEAD + TEXT] },
  '/late': { parts: [HEAD, TEXT] },
  '/chunked': {
    parts: [
      `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${BYTES.toString(16)}\r\n${TEXT}\r\n0\r\n\r\n`
    ]
  }
}

type Body = Dispatcher.ResponseData['body']

interface Setting {
  readonly agent: ShmAgent
  readonly server: Scripted['server']
  /** Of the server's socket. */
  readonly path: string
  /** Leases of the agent's session. */
  readonly leases: () => number
}

/** With what bodies of this undici do with chunks already known. */
async function set(t: TestContext): Promise<Setting> {
  const s = await scene(t)
  const { server } = await startScripted(s, SCRIPT)
  const agent = agentFor(s)
  const leases = () => agent.statistics().links[0]?.session?.leases ?? 0
  await eventually('a body was lent', async () => {
    const body = await get(agent)
    const chunks = chunksOf(body)
    await body.bytes()
    return chunks.some(isShared)
  })
  await eventually('it was given back', () => leases() === 0)
  return { agent, server, path: s.path, leases }
}

async function get(dispatcher: Dispatcher, path = '/'): Promise<Body> {
  const options = { origin: 'http://app.test', path, method: 'GET' } as const
  return (await dispatcher.request(options)).body
}

/** What `body` will have been given, once it has been read. */
function chunksOf(body: Body, onChunk?: (chunk: Buffer) => void): Buffer[] {
  const chunks: Buffer[] = []
  const readable: Readable = body
  const push = readable.push.bind(readable)
  readable.push = (chunk: Buffer | null) => {
    if (chunk !== null) {
      chunks.push(chunk)
      onChunk?.(chunk)
    }
    return push(chunk)
  }
  return chunks
}

/** A view of the session's memory, no copy. */
function isShared({ buffer }: Buffer): boolean {
  return buffer.byteLength > 1024 * 1024
}

async function textOf(result: unknown): Promise<string> {
  if (result instanceof Blob) return result.text()
  return typeof result === 'string' ? result : Buffer.from(result as ArrayBuffer).toString()
}

for (const reader of ['bytes', 'arrayBuffer', 'blob'] as const) {
  test(`${reader}() reads the body where it lies, and makes something of its own of it`, async (t) => {
    const { agent, leases } = await set(t)
    const results: unknown[] = []
    for (let i = 0; i < 2; i++) {
      const body = await get(agent)
      const chunks = chunksOf(body)
      results.push(await body[reader]())
      assert.ok(chunks.length === 1 && isShared(chunks[0]!))
      await eventually('the memory was given back', () => leases() === 0)
      // As it would be overwritten by another's body.
      chunks[0]!.fill('y')
    }
    for (const result of results) assert.equal(await textOf(result), TEXT)
  })
}

for (const reader of ['text', 'json'] as const) {
  test(`${reader}() reads a copy the server cannot change, which ends with the body`, async (t) => {
    const { agent, leases } = await set(t)
    for (let i = 0; i < 3; i++) {
      const body = await get(agent)
      let leased: number | undefined
      const chunks = chunksOf(body, (chunk) => {
        leased = leases()
        assert.equal(chunk.length, BYTES)
        assert.ok(!isShared(chunk))
      })
      const result = await body[reader]()
      assert.equal(reader === 'json' ? JSON.stringify(result) : result, TEXT)
      assert.equal(leased, 0)
      assert.equal(chunks.length, 1)
      await eventually('whoever kept it has an empty one', () => chunks[0]!.length === 0)
    }
  })
}

test('a body that comes behind its head is read where it lies, too', async (t) => {
  const { agent, server, leases } = await set(t)
  const body = await get(agent, '/late')
  const chunks = chunksOf(body)
  const bytes = body.bytes()
  await server.call('next')
  assert.equal(await textOf(await bytes), TEXT)
  assert.ok(chunks.length === 1 && isShared(chunks[0]!))
  await eventually('the memory was given back', () => leases() === 0)
})

const KEEPERS: Readonly<Record<string, (body: Body, keep: (chunk: Buffer) => void) => unknown>> = {
  'for await': async (body, keep) => {
    for await (const chunk of body) keep(chunk)
  },
  data: (body, keep) => new Promise((resolve) => body.on('data', keep).on('end', resolve)),
  'data after resume()': (body, keep) =>
    new Promise((resolve) => {
      body.resume()
      queueMicrotask(() => body.on('data', keep).on('end', resolve))
    }),
  'data at the event of resume()': (body, keep) =>
    new Promise((resolve) => {
      body.once('resume', () => body.on('data', keep)).on('end', resolve)
      body.resume()
    }),
  readable: (body, keep) =>
    new Promise((resolve) => {
      body.on('readable', () => {
        for (let chunk = body.read(); chunk !== null; chunk = body.read()) keep(chunk)
      })
      body.on('end', resolve)
    }),
  'data beside text()': async (body, keep) => {
    body.on('data', keep).pause()
    const text = body.text()
    body.resume()
    return text.catch(() => new Promise((resolve) => body.on('end', resolve)))
  },
  'a web stream': async (body, keep) => {
    for await (const chunk of body.body as unknown as AsyncIterable<Buffer>) keep(chunk)
  }
}

for (const [name, read] of Object.entries(KEEPERS)) {
  test(`chunks that may be kept are copies: ${name}`, async (t) => {
    const { agent, leases } = await set(t)
    const body = await get(agent)
    const kept: Buffer[] = []
    await read(body, (chunk) => kept.push(chunk))
    assert.equal(Buffer.concat(kept).toString(), TEXT)
    assert.ok(!kept.some(isShared))
    assert.equal(leases(), 0)
  })
}

test('a body that is read later does not wait in shared memory', async (t) => {
  const { agent, leases } = await set(t)
  const body = await get(agent)
  const chunks = chunksOf(body)
  await eventually('it was copied', () => leases() === 0)
  assert.equal(await textOf(await body.bytes()), TEXT)
  assert.ok(chunks.length > 1 && !chunks.some(isShared))
})

test('what is not a body of request() gets copies', async (t) => {
  const { agent } = await set(t)
  const composed = agent.compose(interceptors.retry({ maxRetries: 0 }))
  const body = await get(composed)
  const chunks = chunksOf(body)
  assert.equal(await textOf(await body.bytes()), TEXT)
  assert.ok(chunks.length > 1 && !chunks.some(isShared))
})

test('so does a body of unknown length, and one whose chunks are published', async (t) => {
  const { agent } = await set(t)
  const chunked = await get(agent, '/chunked')
  const chunks = chunksOf(chunked)
  assert.equal(await textOf(await chunked.bytes()), TEXT)
  assert.ok(chunks.length > 1 && !chunks.some(isShared))

  const published: Buffer[] = []
  const onChunk = (message: unknown) => published.push((message as { chunk: Buffer }).chunk)
  subscribe('undici:request:bodyChunkReceived', onChunk)
  t.after(() => unsubscribe('undici:request:bodyChunkReceived', onChunk))
  assert.equal(await textOf(await (await get(agent)).bytes()), TEXT)
  assert.ok(published.length > 1 && !published.some(isShared))
})

test('a body that is thrown away in any of its phases gives its memory back', async (t) => {
  const { agent, leases } = await set(t)
  const phases: readonly ((body: Body) => unknown)[] = [
    (body) => body.destroy(),
    async (body) => {
      const bytes = body.bytes()
      body.destroy()
      await bytes
    },
    async (body) => {
      const bytes = body.bytes()
      await new Promise<void>((resolve) => queueMicrotask(() => resolve()))
      body.destroy()
      await bytes
    },
    async (body) => {
      const bytes = body.bytes()
      await setImmediate()
      body.destroy()
      await bytes
    },
    async (body) => {
      const text = body.text()
      await new Promise<void>((resolve) => queueMicrotask(() => resolve()))
      body.destroy()
      await text
    },
    (body) => body.dump()
  ]
  for (const phase of phases) {
    const body = await get(agent)
    body.on('error', () => undefined)
    await Promise.resolve(phase(body)).catch(() => undefined)
    await eventually('the memory was given back', () => leases() === 0)
  }
  const unread = await get(agent)
  await agent.destroy()
  unread.on('error', () => undefined)
  assert.equal(leases(), 0)
})

test('a server that dies while a body waits for its reader takes nothing away', async (t) => {
  const { agent, server, path } = await set(t)
  const body = await get(agent)
  const chunks = chunksOf(body)
  server.signal('SIGKILL')
  assert.equal(await textOf(await body.bytes()), TEXT)
  assert.ok(chunks.some(isShared))
  await server.kill()
  rmSync(path)
})
