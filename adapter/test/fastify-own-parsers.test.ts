/** Bodies that Fastify's own parsers collect: read in shared memory, and theirs from then on. */
import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { StringDecoder } from 'node:string_decoder'
import { test } from 'node:test'
import type { FastifyInstance } from 'fastify'
import { lendToParsers } from '../fastify/own-parsers.ts'
import { isCollected } from '../http1/server/trusted-collectors.ts'
import { agentFor, startApp } from './app.ts'
import { pattern, sha256 } from './support/pattern.ts'
import { type Scene, scene } from './support/scene.ts'

/** More than any chunk that was copied, less than what a session maps. */
const A_REGION = 8 * 1024 * 1024

interface Seen {
  readonly memory: readonly number[]
  /** Where bytes were decoded. */
  readonly decoded: readonly number[]
  readonly all: readonly string[]
}

async function poster(s: Scene) {
  const agent = agentFor(s)
  return async (path: string, type: string, body: Buffer): Promise<Seen> => {
    const headers = { 'content-type': type }
    const options = { origin: 'http://a', path, method: 'POST', headers, body } as const
    const response = await agent.request(options)
    return (await response.body.json()) as Seen
  }
}

const types = {
  'a/buffer': (bytes: number, seed: number) => pattern(bytes, seed),
  'text/plain': (bytes: number, seed: number) => Buffer.from(`${seed} `.repeat(bytes / 2)),
  'application/json': (bytes: number, seed: number) => {
    return Buffer.from(JSON.stringify({ ä: `${seed} `.repeat(bytes / 2) }))
  }
}

for (const [type, make] of Object.entries(types)) {
  test(`${type}: lent in one piece, copied in many, and the app's for good`, async (t) => {
    const s = await scene(t)
    await startApp(s, { plugin: { path: s.path } })
    const post = await poster(s)
    const sent: string[] = []
    for (const [index, bytes] of [100, 70_000, 1_000_000, 1_000_000, 3_000_000].entries()) {
      const body = make(bytes, index)
      sent.push(sha256(body))
      const { memory, decoded, all } = await post('/own', type, body)
      assert.deepEqual(all, sent)
      // Not where the peer can change them meanwhile.
      assert.ok(Math.max(...decoded, 0) <= A_REGION)
      const lent = memory.some((length) => length > A_REGION)
      assert.equal(lent, bytes >= 70_000 && bytes <= 1_000_000, `${bytes} bytes in ${memory}`)
    }
  })
}

test('text with an encoding set is decoded where only the app can write', async (t) => {
  const s = await scene(t)
  await startApp(s, { plugin: { path: s.path } })
  const post = await poster(s)
  for (const bytes of [1000, 60_000, 500_000, 3_000_000]) {
    const body = Buffer.from('aäö€😀'.repeat(bytes / 13))
    const { decoded, all } = await post('/own/encoded', 'a/text', body)
    assert.deepEqual(all, [sha256(body)])
    assert.ok(decoded.length > 0 && Math.max(...decoded) <= A_REGION)
  }
})

test('sixteen at a time, each body is its own', async (t) => {
  const s = await scene(t)
  await startApp(s, { plugin: { path: s.path } })
  const post = await poster(s)
  const bodies = Array.from({ length: 64 }, (_, seed) => pattern(900_000, seed))
  let next = 0
  const work = async () => {
    while (next < bodies.length) await post('/own', 'a/buffer', bodies[next++]!)
  }
  await Promise.all(Array.from({ length: 16 }, work))
  const { all } = await post('/own', 'a/buffer', pattern(100, 1))
  assert.deepEqual(all.slice(0, -1).sort(), bodies.map(sha256).sort())
})

test('who reads beside the parser keeps what it was given', async (t) => {
  const s = await scene(t)
  await startApp(s, { plugin: { path: s.path } })
  const post = await poster(s)
  const body = pattern(500_000, 7)
  const { memory } = await post('/own/read-beside', 'a/buffer', body)
  assert.ok(
    memory.every((length) => length <= A_REGION),
    `${memory}`
  )
  for (let seed = 0; seed < 20; seed++) await post('/own', 'a/buffer', pattern(500_000, seed))
  const { all } = await post('/own', 'a/buffer', pattern(10, 1))
  // The body, and the chunks beside it.
  assert.deepEqual(all.slice(0, 2), [sha256(body), sha256(body)])
})

/** As Fastify's, but for `finish`: what becomes of the chunks. */
function fastifyThat(finish: (chunks: Buffer[], parseAs: string) => unknown) {
  const listeners: ((chunk: Buffer) => void)[] = []
  class Parser {
    add(_type: string, options: { parseAs: string }, parse: (...args: unknown[]) => void): void {
      this.#parse = parse
      this.#parseAs = options.parseAs
    }
    run(_type: string, _handler: unknown, request: { raw: EventEmitter }): void {
      const chunks: Buffer[] = []
      const onData = (chunk: Buffer) => chunks.push(chunk)
      listeners.push(onData)
      request.raw.on('data', onData)
      request.raw.once('end', () => {
        request.raw.off('data', onData)
        this.#parse?.(request, finish(chunks, this.#parseAs), () => undefined)
      })
    }
    #parse: ((...args: unknown[]) => void) | undefined
    #parseAs = ''
  }
  const app = { [Symbol('fastify.contentTypeParser')]: new Parser() }
  return { app: app as unknown as FastifyInstance, listeners }
}

function reads(listener: ((chunk: Buffer) => void) | undefined): boolean {
  const request = Object.assign(new EventEmitter(), { readableFlowing: true })
  request.on('data', listener!)
  return isCollected(request as unknown as IncomingMessage)
}

test('a Fastify that hands a chunk on, or does anything unforeseen, is given copies', () => {
  const handsOn = fastifyThat((chunks) => chunks[0])
  lendToParsers(handsOn.app)
  assert.ok(handsOn.listeners.length > 0)
  assert.equal(reads(handsOn.listeners[0]), false)

  const throws = fastifyThat(() => {
    throw new Error('of another kind')
  })
  lendToParsers(throws.app)
  assert.equal(reads(throws.listeners[0]), false)
  lendToParsers({} as FastifyInstance)

  const decodesItself = fastifyThat((chunks, parseAs) => {
    return parseAs === 'string' ? new StringDecoder().write(chunks[0]!) : Buffer.concat(chunks)
  })
  lendToParsers(decodesItself.app)
  assert.equal(reads(decodesItself.listeners[0]), false)

  const asFastify = fastifyThat((chunks, parseAs) => {
    return parseAs === 'string' ? chunks[0]!.toString('utf8') : Buffer.concat(chunks)
  })
  lendToParsers(asFastify.app)
  assert.equal(reads(asFastify.listeners[0]), true)
})
