/** What a stream that is not read holds is bounded by its window, whatever its peer would send. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually } from '../../test/support/eventually.ts'
import { pattern, sha256 } from '../../test/support/pattern.ts'
import { type Scene, scene } from '../../test/support/scene.ts'
import { connect, type ShmSession } from '../index.ts'
import { command, quiet, readAll, startPeer } from './peer.ts'

const MEMORY_BYTES = 64 * 1024 * 1024
const WINDOW_BYTES = 256 * 1024
/** A message may exceed the credit by this. */
const OVERSHOOT_BYTES = 256 * 1024
/** The reader's own buffer has taken the first message when it says stop: the window comes anew. */
const MOST_BYTES = 2 * (WINDOW_BYTES + OVERSHOOT_BYTES)
/** The smallest slice that has room for the window and what may exceed it. */
const SLICE_BYTES = 1028 * 1024 + 64
const BODY_BYTES = 12_000_000
const FAST_STREAMS = 8

async function openSession(scene: Scene, window: string): Promise<ShmSession> {
  const peer = await startPeer(scene)
  await peer.call('listen', { path: scene.path })
  scene.defer(() => peer.call('closeListeners'))
  const session = await connect(scene.path, { memory: `${MEMORY_BYTES}B`, window })
  scene.defer(async () => {
    await quiet(session)
    await peer.call('quiet')
    session.destroy()
  })
  return session
}

/** Bytes of shared memory that this end has received and not given back. */
function borrowedBytes(session: ShmSession): number {
  const { lists = [] } = session.statistics()
  return lists.reduce((sum, { borrowed, payload }) => sum + borrowed * payload, 0)
}

interface Held {
  /** Arrived and not read. */
  readonly bytes: number
  /** Of the slices they occupy. */
  readonly memory: number
}

/**
 * Reads nothing of a stream whose peer writes all it may, while others run to their end; then reads
 * it. `least` bytes arrive at least, since nothing but the window stops them.
 */
async function heldBySlowReader(session: ShmSession, least: number): Promise<Held> {
  const slow = command(session, `source ${BODY_BYTES}`)
  slow.end()
  await eventually(
    () => `${slow.bytesRead} of ${least} bytes have arrived`,
    () => slow.bytesRead >= least
  )
  const body = pattern(3_000_000, 2)
  const exchanges = Array.from({ length: FAST_STREAMS }, async () => {
    const stream = command(session, 'echo')
    const answer = readAll(stream)
    stream.end(body)
    assert.equal(sha256(await answer), sha256(body))
  })
  await Promise.all(exchanges)
  const held = { bytes: slow.bytesRead, memory: borrowedBytes(session) }

  assert.equal(sha256(await readAll(slow)), sha256(pattern(BODY_BYTES)))
  return held
}

test('a slow reader holds its window and one message at most', async (t) => {
  const session = await openSession(await scene(t), `${WINDOW_BYTES}B`)
  const { bytes, memory } = await heldBySlowReader(session, WINDOW_BYTES)

  assert.ok(bytes <= MOST_BYTES, `${bytes} bytes were sent`)
  assert.ok(memory <= SLICE_BYTES, `${memory} bytes of slices are held`)
})

test('without credit to wait for it holds whatever is sent', async (t) => {
  const session = await openSession(await scene(t), '1GiB')
  const { bytes, memory } = await heldBySlowReader(session, BODY_BYTES)

  assert.equal(bytes, BODY_BYTES)
  assert.ok(memory > 2 * MOST_BYTES, `${memory} bytes of slices are held`)
})
