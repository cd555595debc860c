import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { eventually } from '../../test/support/eventually.ts'
import { pattern } from '../../test/support/pattern.ts'
import { scene } from '../../test/support/scene.ts'
import { connect, type Lease, type ShmStream } from '../index.ts'
import { command, openSession, quiet } from './peer.ts'

/** Reads `stream` to its end: views by lease, what is not lent by `data`. */
function collect(stream: ShmStream): {
  chunks: Buffer[]
  lent: () => number
  end: Promise<unknown>
} {
  const chunks: Buffer[] = []
  let lent = 0
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  stream.lendTo((view) => {
    lent += view.length
    chunks.push(Buffer.from(view))
  })
  return { chunks, lent: () => lent, end: once(stream, 'end') }
}

test('large chunks are lent, small ones copied, in order', async (t) => {
  const { session } = await openSession(await scene(t))
  for (const bytes of [1, 15_000, 16_384, 1_000_000, 9_000_001]) {
    const stream = command(session, `source ${bytes}`)
    stream.end()
    const { chunks, lent, end } = collect(stream)
    await end
    assert.ok(Buffer.concat(chunks).equals(pattern(bytes)), `${bytes} bytes arrive exact`)
    if (bytes < 16_384) assert.equal(lent(), 0)
    if (bytes > 1_000_000) assert.ok(lent() > bytes / 2, `${lent()} of ${bytes} bytes were lent`)
  }
})

test('leases that are held stop the sender at its window, and let it go on when dropped', async (t) => {
  const { session } = await openSession(await scene(t))
  const stream = command(session, 'source 5000000')
  stream.end()
  const held: [view: Buffer, lease: Lease][] = []
  let holding = true
  const chunks: Buffer[] = []
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  stream.lendTo((view, lease) => {
    if (!holding) {
      chunks.push(Buffer.from(view))
      return
    }
    lease.hold()
    held.push([view, lease])
  })
  const end = once(stream, 'end')
  await eventually('the window is used up', () => stream.bytesRead >= 1024 * 1024)
  assert.ok(stream.bytesRead <= 1024 * 1024 + 256 * 1024, `${stream.bytesRead} bytes came`)
  assert.ok((session.statistics().slicesInUse ?? 0) > 0)

  holding = false
  chunks.unshift(...held.map(([view]) => Buffer.from(view)))
  for (const [, lease] of held) lease.release()
  await end
  assert.ok(Buffer.concat(chunks).equals(pattern(5_000_000)))
})

test('consumers that hold what they may leave enough for the others', async (t) => {
  const { session } = await openSession(await scene(t), '8MiB', undefined, { window: '64MiB' })
  const held: Lease[] = []
  let copied = 0
  const hoarders = Array.from({ length: 3 }, () => command(session, 'source 3000000'))
  const ends = hoarders.map(async (stream) => {
    stream.end()
    stream.lendTo((view, lease) => {
      if (!lease.mayHold) {
        copied += view.length
        return
      }
      lease.hold()
      held.push(lease)
    })
    await once(stream.resume(), 'end')
  })
  await Promise.all(ends)
  assert.ok(copied > 0, 'all of it fits the memory: nothing is shown')

  const before = session.statistics().fallbackMessages
  const stream = command(session, 'source 300000')
  stream.end()
  const { chunks, end } = collect(stream)
  await end
  assert.ok(Buffer.concat(chunks).equals(pattern(300_000)))
  assert.ok(stream.fallbackBytes === 0 && session.statistics().fallbackMessages === before)
  for (const lease of held) lease.release()
})

test('a paused stream is copied out, and nothing of it is lost or reordered', async (t) => {
  const { session } = await openSession(await scene(t))
  const stream = command(session, 'source 4000000')
  stream.end()
  const chunks: Buffer[] = []
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  let views = 0
  stream.lendTo((view) => {
    chunks.push(Buffer.from(view))
    // Every other view pauses: its message's other slices arrive while nothing may be lent.
    if (++views % 2 === 0) return
    stream.pause()
    setImmediate(() => stream.resume())
  })
  await once(stream, 'end')
  assert.ok(views > 1)
  assert.ok(Buffer.concat(chunks).equals(pattern(4_000_000)))
})

test('views outlive the session, and the memory goes with the last of them', async (t) => {
  const { session } = await openSession(await scene(t))
  const stream = command(session, 'source 900000')
  stream.on('error', () => {})
  stream.resume()
  const [view, lease] = await new Promise<[Buffer, Lease]>((resolve) => {
    let first = true
    stream.lendTo((view, lease) => {
      if (!first) return
      first = false
      lease.hold()
      resolve([view, lease])
    })
  })
  const before = Buffer.from(view)
  session.destroy()
  assert.ok(before.length > 0)
  assert.ok(view.equals(before), 'the bytes are still there')
  lease.release()
  assert.equal(view.length, 0, 'the memory is gone')
})

test('a detachable view holds while the lease does, and is empty afterwards', async (t) => {
  const { session } = await openSession(await scene(t))
  const stream = command(session, 'source 200000')
  stream.end()
  const kept: Buffer[] = []
  const leases: Lease[] = []
  stream.on('data', () => undefined)
  stream.lendTo((view, lease) => {
    lease.hold()
    leases.push(lease)
    kept.push(lease.detachable(view.subarray(10, view.length)))
  })
  await once(stream, 'end')
  assert.ok(kept.length > 0)
  const expected = pattern(200_000)
  assert.ok(kept[0]!.equals(expected.subarray(10, 10 + kept[0]!.length)))
  for (const lease of leases) lease.release()

  assert.deepEqual(
    kept.map((buffer) => buffer.length),
    kept.map(() => 0)
  )
})

test('a detachable view outlives its session, for as long as the lease is held', async (t) => {
  const { session } = await openSession(await scene(t))
  const stream = command(session, 'source 200000')
  stream.on('error', () => undefined)
  const [view, lease] = await new Promise<[Buffer, Lease]>((resolve) => {
    stream.on('data', () => undefined)
    stream.lendTo((chunk, given) => {
      given.hold()
      resolve([given.detachable(chunk), given])
    })
  })
  const length = view.length
  session.destroy()
  assert.ok(view.equals(pattern(200_000).subarray(0, length)))
  lease.release()
  assert.equal(view.length, 0)
})

test('a lease that is held serves no other message, also when nobody watches for leaks', async (t) => {
  const stage = await scene(t)
  await openSession(stage)
  const session = await connect(stage.path, { leakWarning: false, window: '4MiB' })
  stage.defer(async () => {
    await quiet(session)
    session.destroy()
  })
  // Longer than a message may be.
  const stream = command(session, 'source 3000000')
  stream.end()
  const held: [view: Buffer, lease: Lease][] = []
  const chunks: Buffer[] = []
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  stream.lendTo((view, lease) => {
    lease.hold()
    held.push([view, lease])
    chunks.push(view)
  })
  await once(stream, 'end')

  assert.equal(new Set(held.map(([, lease]) => lease)).size, held.length)
  assert.ok(held.length > 1)
  assert.ok(Buffer.concat(chunks).equals(pattern(3_000_000)))
  for (const [, lease] of held) lease.release()
})
