import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { eventually } from '../../test/support/eventually.ts'
import { pattern, sha256 } from '../../test/support/pattern.ts'
import { scene } from '../../test/support/scene.ts'
import type { HeldSlice, ShmSession, ShmStream } from '../index.ts'
import { closing, command, openSession, type Pair, quiet, readAll } from './peer.ts'

/** A region this small has slices for about half a stream's window. */
const SMALL = '1MiB'

interface Upload {
  readonly stream: ShmStream
  readonly answer: Promise<string>
  readonly expected: string
}

/** Sends `bytes` in pieces of odd sizes; the answer is the peer's count and hash. */
function upload(session: ShmSession, bytes: number, seed: number): Upload {
  const stream = command(session, 'hash')
  const answer = readAll(stream).then(String)
  const body = pattern(bytes, seed)
  for (let at = 0, step = 1; at < bytes; at += step, step = ((step * 7 + seed) % 90_000) + 1) {
    stream.write(body.subarray(at, Math.min(at + step, bytes)))
  }
  stream.end()
  return { stream, answer, expected: `${bytes} ${sha256(body)}` }
}

/** Runs `action` while the event loop of the peer stands still. */
async function whileBlocked({ peer }: Pair, action: () => Promise<void>): Promise<void> {
  const still = peer.standsStill()
  await peer.call('block')
  await still
  try {
    await action()
  } finally {
    peer.openGate()
  }
}

/** Blocks the event loop of this process. */
function blockUntilExists(file: string): void {
  const cell = new Int32Array(new SharedArrayBuffer(4))
  for (let waited = 0; !existsSync(file); waited++) {
    if (waited > 10_000) throw new Error(`nobody created ${file}`)
    Atomics.wait(cell, 0, 0, 1)
  }
}

test('without slices a message goes by the socket, and later ones by the ring again', async (t) => {
  const pair = await openSession(await scene(t), SMALL)
  const { session } = pair
  const first = upload(session, 1000, 1)
  assert.equal(await first.answer, first.expected)
  assert.equal(first.stream.fallbackBytes, 0)

  let second: Upload | undefined
  await whileBlocked(pair, async () => {
    second = upload(session, 3_000_000, 2)
    const { stream } = second
    await eventually('the socket is used', () => stream.fallbackBytes > 0)
  })
  assert.equal(await second!.answer, second!.expected)
  const { fallbackBytes, fallbackMessages } = session.statistics()
  assert.ok(fallbackMessages > 0)
  assert.equal(fallbackBytes, second!.stream.fallbackBytes)
  await quiet(session)

  // It finds room at once: for what the peer returns it would wait ten milliseconds only.
  const third = upload(session, 100_000, 3)
  assert.equal(await third.answer, third.expected)
  assert.equal(third.stream.fallbackBytes, 0)
  assert.equal(session.statistics().fallbackBytes, fallbackBytes)
})

test('one stream goes by the ring, the socket, and the ring', async (t) => {
  const pair = await openSession(await scene(t), SMALL)
  const stream = command(pair.session, 'echo')
  const answer = readAll(stream)
  const body = pattern(6_000_000)
  let sent = 0
  const send = async (bytes: number) => {
    for (const until = sent + bytes; sent < until; sent += 20_000) {
      if (!stream.write(body.subarray(sent, sent + 20_000))) await once(stream, 'drain')
    }
  }
  /** All that was sent has come back, and so has the credit for what went by the socket. */
  const settled = () =>
    eventually('all is back', () => {
      const [report] = pair.session.report().perStream
      return stream.bytesRead === sent && report?.transport === 'shm'
    })

  await send(200_000)
  await settled()
  assert.equal(stream.fallbackBytes, 0)
  let sending: Promise<void> | undefined
  await whileBlocked(pair, async () => {
    sending = send(2_800_000)
    await eventually('the socket is used', () => stream.fallbackBytes > 0)
  })
  await sending
  await settled()
  const { fallbackMessages } = pair.session.statistics()
  // Little at a time: on a busy machine the peer may take longer to return slices than we wait.
  for (let i = 0; i < 10; i++) {
    await send(100_000)
    await settled()
  }
  assert.equal(pair.session.statistics().fallbackMessages, fallbackMessages)
  stream.end(body.subarray(sent))

  assert.equal(sha256(await answer), sha256(body))
})

test('many streams fall back at once, each in its order', async (t) => {
  const pair = await openSession(await scene(t), SMALL)
  let uploads: Upload[] = []
  await whileBlocked(pair, async () => {
    uploads = Array.from({ length: 40 }, (_, i) => upload(pair.session, 100_000 + i * 9973, i))
    await eventually('most use the socket', () => {
      const fallen = uploads.filter(({ stream }) => stream.fallbackBytes > 0)
      return fallen.length >= 20
    })
  })
  for (const { answer, expected } of uploads) assert.equal(await answer, expected)
})

test('a Buffer that is taken away while it waits for the socket harms no other stream', async (t) => {
  const pair = await openSession(await scene(t), SMALL)
  let other: Upload | undefined
  await whileBlocked(pair, async () => {
    const streams = Array.from({ length: 8 }, () => command(pair.session, 'hash'))
    const bodies = streams.map((stream) => {
      const body = Buffer.allocUnsafeSlow(1_000_000)
      stream.write(body)
      return body
    })
    other = upload(pair.session, 1_000_000, 1)
    const { stream } = other
    await eventually('all use the socket', () =>
      [...streams, stream].every(({ fallbackBytes }) => fallbackBytes > 0)
    )
    for (const one of streams) one.destroy()
    for (const { buffer } of bodies) structuredClone(buffer, { transfer: [buffer as ArrayBuffer] })
  })
  assert.equal(await other!.answer, other!.expected)
})

test('both ends fall back on the same streams', async (t) => {
  const stage = await scene(t)
  const pair = await openSession(stage, SMALL)
  const announced = join(stage.directory, 'announced')
  stage.defer(() => rmSync(announced, { force: true }))
  await pair.peer.call('announceFallback', announced)
  const bodies = Array.from({ length: 12 }, (_, seed) => pattern(1_500_000, seed))
  const theirs = pattern(2_000_000)
  const streams: ShmStream[] = []
  await whileBlocked(pair, async () => {
    for (const body of bodies) {
      const stream = command(pair.session, `exchange ${theirs.length}`)
      streams.push(stream)
      stream.end(body)
    }
    await eventually('the socket is used', () => streams.some((stream) => stream.fallbackBytes > 0))
  })
  const answers = Promise.all(streams.map(readAll))
  blockUntilExists(announced)

  for (const [i, answer] of (await answers).entries()) {
    const body = bodies[i]!
    const expected = Buffer.concat([theirs, Buffer.from(`${body.length} ${sha256(body)}`)])
    assert.equal(sha256(answer), sha256(expected))
  }
})

test('messages and ends that find the ring full arrive whole', async (t) => {
  const pair = await openSession(await scene(t))
  const empty: ShmStream[] = []
  const uploads: Upload[] = []
  await whileBlocked(pair, async () => {
    // Each end takes an event, and no slice.
    for (let i = 0; i < 9000; i++) {
      const stream = pair.session.openStream()
      stream.end()
      empty.push(stream)
    }
    for (let i = 0; i < 20; i++) uploads.push(upload(pair.session, 40_000, i))
    await eventually('all use the socket', () =>
      uploads.every(({ stream }) => stream.fallbackBytes > 0)
    )
  })
  for (const { answer, expected } of uploads) assert.equal(await answer, expected)
  for (const stream of empty) assert.equal((await readAll(stream)).length, 0)
  assert.ok((pair.session.statistics().ringFull ?? 0) > 0)
})

test("a buffer on the socket is the caller's again when its callback says so", async (t) => {
  const pair = await openSession(await scene(t), SMALL)
  const block = Buffer.alloc(1_500_000)
  for (let i = 0; i < 8; i++) {
    // A stream each: what the last one has sent without credit would stop the next before the socket.
    const stream = command(pair.session, 'hash')
    const answer = readAll(stream).then(String)
    pattern(block.length, i).copy(block)
    const expected = `${block.length} ${sha256(block)}`
    let written: Promise<unknown> | undefined
    await whileBlocked(pair, async () => {
      written = new Promise((resolve) => stream.write(block, resolve))
      await eventually('the socket is used', () => stream.fallbackBytes > 0)
    })
    await written
    block.fill(0xee)
    stream.end()
    assert.equal(await answer, expected)
  }
})

test('a reset after fallback data ends the stream', async (t) => {
  const pair = await openSession(await scene(t), SMALL)
  const stream = command(pair.session, 'hold')
  stream.on('error', () => undefined)
  await whileBlocked(pair, async () => {
    stream.write(pattern(2_000_000))
    await eventually('the socket is used', () => stream.fallbackBytes > 0)
    stream.destroy()
  })
  const [outcome] = await pair.peer.call('outcomes', 1)
  assert.equal(outcome?.error, 'ECONNRESET')
})

test('a graceful close delivers what is still on the socket', async (t) => {
  const pair = await openSession(await scene(t), SMALL)
  const body = pattern(900_000)
  const stream = command(pair.session, 'end')
  stream.resume()
  const closed = closing(stream)
  await once(stream, 'end')
  await whileBlocked(pair, async () => {
    stream.end(body)
    await eventually('the socket is used', () => stream.fallbackBytes > 0)
    // Resolves only when the peer can have it all: the kernel holds what was not read.
    pair.session.close().catch(() => undefined)
  })

  assert.equal(await closed, undefined)
  const [outcome] = await pair.peer.call('outcomes', 1)
  assert.deepEqual(outcome, { command: 'end', error: null, bytesRead: body.length + 4 })
})

test('what comes by the socket waits for all that was put into the ring before it', async (t) => {
  const pair = await openSession(await scene(t), '128MiB')
  const { session } = pair
  const held: HeldSlice[] = []
  let before: Upload[] = []
  let last: Upload | undefined
  await whileBlocked(pair, async () => {
    // More than is taken in one turn, and than one look at the socket takes of it.
    before = Array.from({ length: 40 }, (_, i) => upload(session, 1_000_000, i))
    const stream = command(session, 'hash')
    const answer = readAll(stream).then(String)
    const body = pattern(60_000)
    stream.write(body.subarray(0, 1000))
    for (const bytes of [4_000_000, 1_000_000, 200_000, 30_000, 1]) {
      for (let slice = session.hold(bytes); slice !== undefined; slice = session.hold(bytes)) {
        held.push(slice)
      }
    }
    stream.end(body.subarray(1000))
    await eventually('the rest has gone by the socket', () => stream.fallbackBytes > 0)
    last = { stream, answer, expected: `${body.length} ${sha256(body)}` }
    for (const slice of held) slice.release()
  })
  assert.equal(await last!.answer, last!.expected)
  for (const { answer, expected } of before) assert.equal(await answer, expected)
  await quiet(session)
})
