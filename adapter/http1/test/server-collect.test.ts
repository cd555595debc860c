/** Bodies collected into one Buffer, in memory of their own or in memory that is used again. */
import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { BodyMemory, BodyTooLongError, collectBody, type WireRequest } from '../server/index.ts'
import { ServerScene, settled } from './server-scene.ts'
import type { TestStream } from './test-stream.ts'

const SIZES = [0, 1, 1000, 70_000, 200_000]

function collected(
  scene: ServerScene,
  options: { limit?: number; memory?: BodyMemory } = {}
): Promise<{ body: Buffer; release: () => void }> {
  return new Promise((resolve, reject) => {
    scene.server.once('request', (request, response) => {
      const announced = request.headers['content-length']
      const length = announced === undefined ? undefined : Number(announced)
      const { limit = 1e6, memory } = options
      const release = collectBody(request, { limit, length, memory }, (error, body) => {
        response.end()
        if (error !== null) reject(error)
        else setImmediate(() => resolve({ body: body!, release }))
      })
    })
  })
}

function send(stream: TestStream, body: Buffer, chunked: boolean): void {
  const head = chunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${body.length}`
  stream.deliver(`POST / HTTP/1.1\r\nHost: a\r\n${head}\r\n\r\n`)
  for (let at = 0; at < body.length; at += 30_000) {
    const part = body.subarray(at, at + 30_000)
    if (chunked) stream.deliver(`${part.length.toString(16)}\r\n`)
    stream.deliver(part)
    if (chunked) stream.deliver('\r\n')
  }
  if (chunked) stream.deliver('0\r\n\r\n')
}

for (const memory of [undefined, new BodyMemory()]) {
  for (const chunked of [false, true]) {
    const where = memory === undefined ? 'its own memory' : 'used memory'
    test(`a ${chunked ? 'chunked ' : ''}body arrives exact in ${where}`, async (t) => {
      const scene = new ServerScene(t)
      const stream = scene.connect()
      for (const size of SIZES) {
        const sent = Buffer.alloc(size, `${size}, and so on `)
        const received = collected(scene, memory === undefined ? {} : { memory })
        send(stream, sent, chunked)
        const { body, release } = await received
        // The views it came in are poison by now.
        assert.ok(body.equals(sent), `${size} bytes`)
        release()
        await settled()
        if (memory === undefined) assert.ok(body.equals(sent))
      }
    })
  }
}

for (const part of ['all', 'half']) {
  test(`a body is not taken for empty when its client left, having sent ${part} of it`, async (t) => {
    const scene = new ServerScene(t)
    let collect: (() => Promise<Buffer>) | undefined
    scene.server.once('request', (request) => {
      request.on('error', () => undefined)
      // As an application does that looks something up first.
      collect = () =>
        new Promise((resolve, reject) => {
          collectBody(request, { limit: 1e6, length: 100_000 }, (error, body) => {
            if (error === null) resolve(body!)
            else reject(error)
          })
        })
    })
    const stream = scene.connect()
    stream.deliver('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n')
    stream.deliver(Buffer.alloc(part === 'all' ? 100_000 : 50_000, 'a'))
    await settled()
    stream.destroy()
    await settled()
    await assert.rejects(collect!(), { code: 'ECONNRESET' })
  })
}

test('a body in one piece stays where it arrived until it is given back', async (t) => {
  const memory = new BodyMemory()
  const scene = new ServerScene(t)
  const stream = scene.connect()
  for (const size of [20_000, 30_000]) {
    const received = collected(scene, { memory })
    send(stream, Buffer.alloc(size, 'a'), false)
    const { body, release } = await received
    await settled()
    assert.equal(stream.lent, size)
    assert.ok(body.equals(Buffer.alloc(size, 'a')))
    release()
    release()
    assert.equal(stream.lent, 0)
    assert.equal(body.length, 0)
  }
  assert.equal(memory.idleBytes, 0)
  // Without anybody who gives it back it is copied.
  const received = collected(scene)
  send(stream, Buffer.alloc(20_000, 'b'), false)
  await received
  assert.equal(stream.lent, 0)
})

test('memory is used again, and what looked at it is empty', async (t) => {
  const memory = new BodyMemory()
  const scene = new ServerScene(t)
  const stream = scene.connect()
  const first = collected(scene, { memory })
  send(stream, Buffer.alloc(100_000, 'a'), false)
  const { body, release } = await first
  assert.equal(memory.idleBytes, 0)
  const part = body.subarray(10, 20)
  release()
  release()
  assert.equal(memory.idleBytes, 131_072)
  assert.equal(body.length, 0)
  assert.equal(part.length, 0)
  await settled()
  const second = collected(scene, { memory })
  send(stream, Buffer.alloc(120_000, 'b'), false)
  const { body: next } = await second
  assert.equal(memory.idleBytes, 0)
  assert.equal(body.length, 0)
  assert.equal(next.length, 120_000)
})

test('sizes are kept apart, and not without bound', () => {
  const memory = new BodyMemory()
  for (const bytes of [1, 65_536, 65_537, 131_072, 1_000_000]) {
    const taken = memory.take(bytes)
    assert.ok(taken.byteLength >= bytes)
    memory.giveBack(taken)
    const again = memory.take(bytes)
    assert.equal(again.byteLength, taken.byteLength || again.byteLength)
    assert.equal(memory.idleBytes, 0)
  }
  const many = Array.from({ length: 40 }, () => memory.take(1024 * 1024))
  for (const one of many) memory.giveBack(one)
  assert.equal(memory.idleBytes, 32 * 1024 * 1024)
  memory.giveBack(memory.take(20 * 1024 * 1024))
  assert.equal(memory.idleBytes, 32 * 1024 * 1024)
})

test('a body over the limit is an error, announced or not', async (t) => {
  for (const chunked of [false, true]) {
    const scene = new ServerScene(t)
    const stream = scene.connect()
    const received = collected(scene, { limit: 1000 })
    const refused = assert.rejects(received, BodyTooLongError)
    send(stream, Buffer.alloc(100_000), chunked)
    await refused
    await settled()
    // What is left is dropped, and the next one served.
    const next = collected(scene)
    send(stream, Buffer.from('next'), chunked)
    assert.equal(String((await next).body), 'next')
  }
})

test('a body that breaks off is an error', async (t) => {
  const scene = new ServerScene(t)
  const stream = scene.connect()
  const received = collected(scene)
  stream.deliver('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc')
  stream.reset()
  await assert.rejects(received, { code: 'ECONNRESET' })
})

test('what was read before comes first, and any other stream will do', async (t) => {
  const scene = new ServerScene(t)
  const stream = scene.connect()
  const closed: string[] = []
  const received = new Promise<Buffer>((resolve) => {
    scene.server.once('request', async (request, response) => {
      await settled()
      assert.ok((request as WireRequest).readableLength > 0)
      request.once('close', () => closed.push('close'))
      collectBody(request, { limit: 100, length: 6 }, (_error, body) => {
        response.end()
        resolve(body!)
      })
    })
  })
  stream.deliver('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc')
  await settled()
  await settled()
  stream.deliver('def')
  assert.equal(String(await received), 'abcdef')
  await settled()
  assert.deepEqual(closed, ['close'])

  const other = new Promise<Buffer>((resolve, reject) => {
    const body = Readable.from([Buffer.from('ab'), 'cd'])
    collectBody(body, { limit: 100, length: undefined }, (error, whole) =>
      error === null ? resolve(whole!) : reject(error)
    )
  })
  assert.equal(String(await other), 'abcd')
})
