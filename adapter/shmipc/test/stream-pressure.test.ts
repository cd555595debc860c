import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { eventually } from '../../test/support/eventually.ts'
import { pattern, sha256 } from '../../test/support/pattern.ts'
import { scene } from '../../test/support/scene.ts'
import type { ShmSession } from '../index.ts'
import { command, openSession, readAll } from './peer.ts'

const WINDOW = 1024 * 1024
/** A message may start on the last byte of credit. */
const OVERSHOOT = 256 * 1024
/** The reader's own buffer has taken one, as long as a message may be, when it says stop. */
const MESSAGE = 1028 * 1024
const MOST = WINDOW + OVERSHOOT + MESSAGE

async function exchange(session: ShmSession, bytes: number, seed: number): Promise<void> {
  const stream = command(session, 'echo')
  const answer = readAll(stream)
  const body = pattern(bytes, seed)
  stream.end(body)
  assert.equal(sha256(await answer), sha256(body))
}

function eightFlow(session: ShmSession): Promise<unknown> {
  const seeds = [1, 2, 3, 4, 5, 6, 7, 8]
  return Promise.all(seeds.map((seed) => exchange(session, 3_000_000, seed)))
}

for (const memory of ['64MiB', '8MiB']) {
  test(`a stopped reader stops its writer only, with ${memory}`, async (t) => {
    const { session } = await openSession(await scene(t), memory)
    const stopped = command(session, 'source 20000000')
    stopped.end()
    await eventually('the window is used up', () => stopped.bytesRead >= WINDOW)

    await eightFlow(session)
    assert.ok(stopped.bytesRead <= MOST, `${stopped.bytesRead} bytes were sent`)
    assert.ok(stopped.readableLength <= MOST)

    assert.equal(sha256(await readAll(stopped)), sha256(pattern(20_000_000)))
  })

  test(`a peer that stops reading stops us on that stream only, with ${memory}`, async (t) => {
    const { session, peer } = await openSession(await scene(t), memory)
    const stream = command(session, 'ignore')
    await once(stream, 'readable')
    let taken = 0
    const block = pattern(50_000)
    const write = () => {
      if (stream.destroyed) return
      taken += block.length
      stream.write(block, write)
    }
    stream.on('error', () => undefined)
    write()
    await eventually('the window is used up', () => taken >= WINDOW)

    await eightFlow(session)
    assert.ok(taken <= MOST + block.length, `${taken} bytes were taken`)
    stream.destroy()
    const [last] = (await peer.call('outcomes', 9)).slice(-1)
    assert.equal(last?.error, 'ECONNRESET')
    assert.ok(last.bytesRead <= WINDOW + MESSAGE)
  })
}

test('write() says when it is enough, and drain when it goes on', async (t) => {
  const { session } = await openSession(await scene(t))
  const stream = command(session, 'hash')
  const answer = readAll(stream)
  const block = pattern(100_000)
  let waits = 0
  for (let i = 0; i < 100; i++) {
    if (stream.write(block)) continue
    waits++
    await once(stream, 'drain')
  }
  stream.end()

  const [bytes] = (await answer).toString().split(' ')
  assert.equal(Number(bytes), 10_000_000)
  assert.ok(waits > 0)
})

/** What its codec sees of a stream that was opened for `line`. */
function takeOver(session: ShmSession, line: string, onDrain: () => void) {
  const stream = command(session, line)
  const answer: Buffer[] = []
  const channel = stream.takeOver({
    onBytes: (chunk) => answer.push(Buffer.from(chunk)),
    onDrain,
    onEnd: () => undefined,
    onClose: () => undefined
  })
  return { stream, channel, answer: () => Buffer.concat(answer).toString() }
}

test('a codec that writes more when all was sent has that sent, too', async (t) => {
  const { session } = await openSession(await scene(t))
  // The peer credits halves of its window: for the rest of the first it says nothing.
  const first = pattern(WINDOW + WINDOW / 2)
  const second = pattern(100_000, 2)
  let more: Buffer | undefined
  const { stream, channel, answer } = takeOver(session, 'hash', () => {
    if (more === undefined) return
    const body = more
    more = undefined
    channel.write('', body, 'latin1', '')
    channel.end()
  })
  channel.write('', first, 'latin1', '')
  more = stream.alloc(second.length)
  second.copy(more)
  const length = first.length + second.length
  await eventually('the peer has read both', () => answer().startsWith(`${length} `))
  assert.equal(answer(), `${length} ${sha256(Buffer.concat([first, second]))}`)
  stream.destroy()
})

test('a codec is not told in the middle of a write that all was sent', async (t) => {
  const { session } = await openSession(await scene(t))
  let writing = false
  let told = 0
  const { stream, channel, answer } = takeOver(session, 'hash', () => {
    if (writing) told++
  })
  const bodies = [10, 20_000, 100_000, 300_000, 900_000].map((bytes) => pattern(bytes))
  writing = true
  for (const body of bodies) {
    const own = stream.alloc(body.length)
    body.copy(own)
    channel.write('10\r\n', own, 'latin1', '\r\n')
    channel.write('', body, 'latin1', '')
  }
  writing = false
  channel.end()
  await eventually('the peer has read all', () => answer() !== '')
  assert.equal(told, 0)
  stream.destroy()
})

test('both ends write more than the window before they read', async (t) => {
  const { session } = await openSession(await scene(t))
  const stream = command(session, 'echo')
  const body = pattern(8_000_000)
  stream.end(body)
  await eventually('the peer has filled our window', () => stream.bytesRead >= WINDOW)

  assert.equal(sha256(await readAll(stream)), sha256(body))
})

test('a reader that takes small bites gets all', async (t) => {
  const { session } = await openSession(await scene(t))
  const stream = command(session, 'source 2000000')
  stream.end()
  const bites: Buffer[] = []
  stream.on('readable', () => {
    for (let bite = stream.read(1777); bite !== null; bite = stream.read(1777)) bites.push(bite)
    if (stream.readableEnded) return
    const rest = stream.readableLength < 1777 ? stream.read() : null
    if (rest !== null) bites.push(rest)
  })
  await once(stream, 'end')

  assert.equal(sha256(Buffer.concat(bites)), sha256(pattern(2_000_000)))
})

test('pausing and resuming loses nothing', async (t) => {
  const { session } = await openSession(await scene(t))
  const stream = command(session, 'source 6000000')
  stream.end()
  const chunks: Buffer[] = []
  stream.on('data', (chunk: Buffer) => {
    chunks.push(chunk)
    stream.pause()
    setImmediate(() => stream.resume())
  })
  await once(stream, 'end')

  assert.equal(sha256(Buffer.concat(chunks)), sha256(pattern(6_000_000)))
})
