import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { test } from 'node:test'
import { pattern, sha256 } from '../../test/support/pattern.ts'
import { scene } from '../../test/support/scene.ts'
import type { ShmSession } from '../index.ts'
import { command, openSession, readAll } from './peer.ts'

/** Around every payload a slice list may have, and far past the window of 1 MiB. */
const SIZES = [
  0,
  1,
  ...[4096, 4160, 32_768, 32_832, 65_536, 262_144, 262_208, 1_048_576].flatMap((n) => [
    n - 1,
    n,
    n + 1
  ]),
  8 * 1024 * 1024
]

async function echo(session: ShmSession, body: Buffer): Promise<Buffer> {
  const stream = command(session, 'echo')
  const answer = readAll(stream)
  stream.end(body)
  return answer
}

for (const memory of ['64MiB', '1MiB']) {
  test(`carries bodies of every size both ways, with ${memory}`, async (t) => {
    const { session } = await openSession(await scene(t), memory)
    for (const size of SIZES) {
      const body = randomBytes(size)
      const answer = await echo(session, body)
      assert.equal(answer.length, size)
      assert.equal(sha256(answer), sha256(body), `${size} bytes`)
    }
  })
}

test('carries a stream without a byte', async (t) => {
  const { session } = await openSession(await scene(t))
  const stream = session.openStream()
  stream.end()

  assert.equal((await readAll(stream)).length, 0)
})

test('keeps the order of writes of every size', async (t) => {
  const { session } = await openSession(await scene(t))
  const stream = command(session, 'echo')
  const answer = readAll(stream)
  const all = pattern(3_000_000)
  for (let at = 0, step = 1; at < all.length; at += step, step = (step * 3 + 1) % 70_001) {
    const room = stream.write(all.subarray(at, Math.min(at + step, all.length)))
    if (!room) await once(stream, 'drain')
  }
  stream.end()

  assert.equal(sha256(await answer), sha256(all))
})

test('sends strings as their encoding says, and never a byte more', async (t) => {
  const { session } = await openSession(await scene(t))
  const cases: [text: string, encoding: BufferEncoding][] = [
    ['plain', 'utf8'],
    ['Grüße, 世界 🙂', 'utf8'],
    ['half a pair: \ud83d', 'utf8'],
    ['\u00ff\u00e9 latin', 'latin1'],
    ['ascii', 'ascii'],
    ['🙂 two words', 'utf16le'],
    ['c2htZXNo', 'base64'],
    ['c2ht\nZXNo\r\n  !!', 'base64'],
    ['-_-_', 'base64url'],
    ['00ff7f', 'hex'],
    ['00ffzz7f', 'hex'],
    ['zz', 'hex'],
    ['x'.repeat(40_000), 'utf8'],
    ['é'.repeat(600_000), 'utf8']
  ]
  // What is in the slices before must not show up after.
  await echo(session, Buffer.alloc(100_000, 'SECRET'))
  for (const [text, encoding] of cases) {
    const stream = command(session, 'echo')
    const answer = readAll(stream)
    stream.end(text, encoding)
    const expected = Buffer.from(text, encoding)
    assert.deepEqual(await answer, expected, `${encoding}: ${JSON.stringify(text.slice(0, 20))}`)
  }
})

test('sends what was corked as one message', async (t) => {
  const { session } = await openSession(await scene(t))
  const stream = session.openStream()
  const answer = readAll(stream)
  stream.cork()
  stream.write('count\n')
  stream.write('ab', 'latin1')
  stream.write(Buffer.from('cde'))
  stream.write(new Uint8Array([1, 2]))
  stream.uncork()
  stream.end()

  // One read of the seven bytes after the command's line.
  assert.equal((await answer).toString(), '7\n')
})

test('sends corked pieces that together exceed a slice', async (t) => {
  const { session } = await openSession(await scene(t))
  const stream = command(session, 'echo')
  const answer = readAll(stream)
  const pieces = [pattern(300_000, 1), pattern(5, 2), pattern(0), pattern(70_000, 3)]
  stream.cork()
  for (const piece of pieces) stream.write(piece)
  stream.write('end', 'latin1')
  stream.uncork()
  stream.end()

  assert.equal(sha256(await answer), sha256(Buffer.concat([...pieces, Buffer.from('end')])))
})

test('lets a written buffer be changed once its callback was called', async (t) => {
  const { session } = await openSession(await scene(t), '1MiB')
  const stream = command(session, 'hash')
  const answer = readAll(stream)
  const block = Buffer.alloc(200_000)
  const sent: Buffer[] = []
  for (let i = 0; i < 30; i++) {
    block.fill(i)
    sent.push(Buffer.from(block))
    await new Promise((resolve) => stream.write(block, resolve))
    block.fill(0xee)
  }
  stream.end()

  const all = Buffer.concat(sent)
  assert.equal((await answer).toString(), `${all.length} ${sha256(all)}`)
})

test('carries a thousand streams at once', async (t) => {
  const { session } = await openSession(await scene(t))
  const bodies = Array.from({ length: 1000 }, (_, i) => pattern(1 + ((i * 37) % 9000), i))
  const answers = await Promise.all(bodies.map((body) => echo(session, body)))

  for (const [i, answer] of answers.entries()) assert.ok(answer.equals(bodies[i]!), `stream ${i}`)
})

test('works with pipeline and with async iteration', async (t) => {
  const { session } = await openSession(await scene(t))
  const pieces = Array.from({ length: 200 }, (_, i) => pattern(10_000, i))
  const stream = command(session, 'echo')
  const received: Buffer[] = []
  await pipeline(Readable.from(pieces), stream, async (source: AsyncIterable<Buffer>) => {
    for await (const chunk of source) received.push(chunk)
  })

  assert.equal(sha256(Buffer.concat(received)), sha256(Buffer.concat(pieces)))
})

test('counts what it has read and written, as a socket does', async (t) => {
  const { session } = await openSession(await scene(t))
  const stream = command(session, 'source 300000')
  stream.end()
  await readAll(stream)

  assert.equal(stream.bytesRead, 300_000)
  assert.equal(stream.fallbackBytes, 0)
})

test('a chunk stays true for as long as it is held', async (t) => {
  const { session } = await openSession(await scene(t), '1MiB')
  const first = command(session, 'source 500000')
  first.end()
  const held: Buffer[] = []
  first.on('data', (chunk: Buffer) => held.push(chunk))
  await once(first, 'end')
  for (let i = 0; i < 20; i++) await echo(session, randomBytes(300_000))

  assert.equal(sha256(Buffer.concat(held)), sha256(pattern(500_000)))
})
