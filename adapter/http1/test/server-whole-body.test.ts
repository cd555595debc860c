/**
 * Bodies that arrive in one piece: they stay where they arrived until somebody reads, and are lent
 * to collectors that are trusted. Views are poisoned as soon as nobody holds them.
 */
import assert from 'node:assert/strict'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { test } from 'node:test'
import { trustCollector } from '../server/index.ts'
import { ServerScene, settled } from './server-scene.ts'

const BODY = Buffer.alloc(100_000, 'a body in one piece, ')
const REQUEST = Buffer.concat([
  Buffer.from(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${BODY.length}\r\n\r\n`),
  BODY
])

function collect(request: IncomingMessage, chunks: Buffer[]): void {
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
}

/** As `collect`, with a listener of another source. */
function collectTrusted(request: IncomingMessage, chunks: Buffer[]): void {
  const listener = (chunk: Buffer): void => {
    chunks.push(chunk)
  }
  trustCollector(listener)
  request.on('data', listener)
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>

/** Sends the request twice; what is left of the first must not be the second's. */
async function serve(scene: ServerScene, handler: Handler) {
  scene.server.on('request', handler)
  const stream = scene.connect()
  stream.deliver(Buffer.from(REQUEST))
  await settled()
  const lent = stream.lent
  stream.deliver(Buffer.from(REQUEST))
  await settled()
  return { stream, lent, answers: stream.output.split('HTTP/1.1 200').length - 1 }
}

for (const turns of [0, 5]) {
  test(`read by an ordinary listener after ${turns} turns: copied, and kept for good`, async (t) => {
    const bodies: Buffer[][] = []
    const { stream, answers } = await serve(new ServerScene(t), async (request, response) => {
      for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate)
      const chunks: Buffer[] = []
      bodies.push(chunks)
      collect(request, chunks)
      request.on('end', () => response.end())
    })
    assert.equal(answers, 2)
    assert.equal(stream.lent, 0)
    for (const chunks of bodies) assert.ok(Buffer.concat(chunks).equals(BODY))
  })

  test(`read by a trusted collector after ${turns} turns: lent until its end`, async (t) => {
    let atEnd = 0
    const bodies: Buffer[][] = []
    const { stream, answers } = await serve(new ServerScene(t), async (request, response) => {
      for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate)
      const chunks: Buffer[] = []
      bodies.push(chunks)
      collectTrusted(request, chunks)
      request.on('end', () => {
        if (chunks.length === 1 && chunks[0]!.equals(BODY)) atEnd++
        assert.equal(request.readableDidRead, true)
        response.end()
      })
    })
    assert.deepEqual({ answers, atEnd, lent: stream.lent }, { answers: 2, atEnd: 2, lent: 0 })
    for (const chunks of bodies) assert.ok(chunks[0]!.every((byte) => byte === 0xee))
  })
}

test('a second listener makes it an ordinary body', async (t) => {
  const kept: Buffer[] = []
  await serve(new ServerScene(t), (request, response) => {
    collectTrusted(request, [])
    collect(request, kept)
    request.on('end', () => response.end())
  })
  assert.ok(Buffer.concat(kept).equals(Buffer.concat([BODY, BODY])))
})

const readers: Record<string, (request: IncomingMessage) => Promise<string>> = {
  'for await': async (request) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    return Buffer.concat(chunks).toString()
  },
  'setEncoding, before and after the first turn': async (request) => {
    request.setEncoding('latin1')
    let text = ''
    for await (const part of request) text += part
    return text
  },
  "read() on 'readable'": (request) =>
    new Promise((resolve) => {
      const chunks: Buffer[] = []
      request.on('readable', () => {
        for (let chunk = request.read(); chunk !== null; chunk = request.read()) chunks.push(chunk)
      })
      request.on('end', () => resolve(Buffer.concat(chunks).toString()))
    }),
  'pause and resume': async (request) => {
    const chunks: Buffer[] = []
    request.pause()
    collect(request, chunks)
    await new Promise(setImmediate)
    request.resume()
    await new Promise((resolve) => request.once('end', resolve))
    return Buffer.concat(chunks).toString()
  }
}

for (const [how, read] of Object.entries(readers)) {
  test(`${how}: the whole body, once`, async (t) => {
    const bodies: string[] = []
    const { answers } = await serve(new ServerScene(t), async (request, response) => {
      bodies.push(await read(request))
      response.end()
    })
    assert.equal(answers, 2)
    assert.deepEqual(bodies, [BODY.toString(), BODY.toString()])
  })
}

test('a body nobody reads is held until the answer, and no longer', async (t) => {
  const waiting: ServerResponse[] = []
  const { stream, lent } = await serve(new ServerScene(t), (_request, response) => {
    waiting.push(response)
  })
  assert.ok(lent > BODY.length)
  waiting[0]!.end()
  await settled()
  assert.equal(waiting.length, 2)
  assert.equal(stream.lent, 0, 'the second came early, and was copied')
  waiting[1]!.end()
})

test('a client that goes away takes it back', async (t) => {
  const scene = new ServerScene(t)
  const events: string[] = []
  scene.server.on('request', (request) => {
    request.on('aborted', () => events.push('aborted'))
    request.on('close', () => events.push('close'))
  })
  const stream = scene.connect()
  stream.deliver(Buffer.from(REQUEST))
  await settled()
  assert.ok(stream.lent > BODY.length)
  stream.reset()
  await settled()
  assert.deepEqual(events, ['aborted', 'close'])
  assert.equal(stream.lent, 0)
})
