import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import type { SliceLeakMessage } from '../../diagnostics.ts'
import { eventually } from '../../test/support/eventually.ts'
import { scene } from '../../test/support/scene.ts'
import { connect, type Lease, type ShmSession } from '../index.ts'
import { command, openSession, quiet, startPeer } from './peer.ts'

/** So short that what is still out when the test looks has been out for longer. */
const GRACE = { leakWarning: '5ms' }

/** What this process reports until the end of the test. */
function reported(t: TestContext): SliceLeakMessage[] {
  const messages: SliceLeakMessage[] = []
  const record = (message: unknown): void => {
    messages.push(message as SliceLeakMessage)
  }
  subscribe('shmesh:slice:leak', record)
  t.after(() => unsubscribe('shmesh:slice:leak', record))
  return messages
}

/** Takes a view of what the peer sends, and keeps it. */
async function takeLease(session: ShmSession): Promise<{ streamId: number; lease: Lease }> {
  const stream = command(session, 'source 100000')
  stream.end()
  const lease = await new Promise<Lease>((resolve) => {
    stream.on('data', () => undefined)
    stream.lendTo((_view, given) => {
      given.hold()
      resolve(given)
    })
  })
  return { streamId: stream.id, lease }
}

test('a lease nobody releases is reported once, with its stream, and warned of', async (t) => {
  const s = await scene(t)
  const messages = reported(t)
  const { session } = await openSession(s, undefined, undefined, GRACE)
  const warned = once(process, 'warning')
  const { streamId, lease } = await takeLease(session)
  const [warning] = (await warned) as [Error & { code: string }]
  assert.equal(warning.code, 'SHMESH_SLICE_LEAK')
  assert.match(warning.message, new RegExp(`of stream ${streamId}, for \\d+ s`))
  assert.match(warning.message, /SHMESH_TRACE_LEASES=1 shows who took it/)
  assert.equal(messages.length, 1)
  const { ageMs, bytes, ...rest } = messages[0]!
  assert.deepEqual(rest, { path: s.path, kind: 'lease', streamId })
  assert.ok(ageMs >= 5)
  assert.equal(bytes, lease.bytes)

  // A second one wakes the watch, which does not repeat itself.
  const second = await takeLease(session)
  await eventually('the second is reported', () => messages.length === 2)
  assert.equal(messages[1]!.streamId, second.streamId)
  assert.deepEqual(
    session.report().suspects.map((suspect) => suspect.streamId),
    [streamId, second.streamId]
  )
  lease.release()
  second.lease.release()
  assert.deepEqual(session.report().suspects, [])
})

test('a lease that outlives its session is reported, too', async (t) => {
  const s = await scene(t)
  const messages = reported(t)
  const { session } = await openSession(s, undefined, undefined, GRACE)
  const { streamId, lease } = await takeLease(session)
  session.destroy()
  await eventually('it is reported', () => messages.some((each) => each.streamId === streamId))
  assert.equal(session.report().suspects.length, 1)
  lease.release()
})

test('a Buffer of alloc() that is never written is reported', async (t) => {
  const s = await scene(t)
  const messages = reported(t)
  const { session } = await openSession(s, undefined, undefined, GRACE)
  const stream = command(session, 'hold')
  const buffer = stream.alloc(100_000)
  await eventually('it is reported', () => messages.length === 1)
  assert.equal(messages[0]!.kind, 'buffer')
  assert.equal(messages[0]!.bytes, buffer.length)
  stream.write(buffer)
  assert.deepEqual(session.report().suspects, [])
  stream.destroy()
})

test('a peer that keeps slices of a stream that is gone is reported', async (t) => {
  const s = await scene(t)
  const messages = reported(t)
  const { peer, session } = await openSession(s, undefined, undefined, GRACE)
  const stream = command(session, 'keep')
  await once(stream, 'data')
  stream.write(Buffer.alloc(100_000))
  await eventually('it has come', async () => {
    return (await peer.call('statistics')).some(({ leases }) => leases > 0)
  })
  stream.destroy()
  await eventually('it is reported', () => messages.length === 1)
  const { kind, streamId, bytes } = messages[0]!
  assert.deepEqual({ kind, streamId }, { kind: 'lent', streamId: stream.id })
  assert.ok(bytes >= 100_000)
  assert.equal(session.report().suspects.length, 1)
  session.destroy()
})

test('nothing is reported of what comes back, or with leakWarning: false', async (t) => {
  const s = await scene(t)
  const messages = reported(t)
  const { session } = await openSession(s, undefined, undefined, { leakWarning: false })
  const { lease } = await takeLease(session)
  const watched = await connect(s.path, GRACE)
  s.defer(() => watched.destroy())
  const held = await takeLease(watched)
  await eventually('the other one is reported', () => messages.length === 1)
  assert.equal(messages[0]!.streamId, held.streamId)
  assert.deepEqual(session.report().suspects, [])
  lease.release()
  held.lease.release()
  await quiet(watched)
})

test('SHMESH_TRACE_LEASES=1 tells who took it', async (t) => {
  const s = await scene(t)
  const peer = await startPeer(s, { env: { SHMESH_TRACE_LEASES: '1' } })
  await peer.call('listen', { path: s.path, ...GRACE })
  s.defer(() => peer.call('closeListeners'))
  const session = await connect(s.path)
  s.defer(() => session.destroy())
  const stream = command(session, 'keep')
  stream.on('error', () => undefined)
  await once(stream, 'data')
  stream.write(Buffer.alloc(100_000))
  await eventually('the peer reports it', async () => (await peer.call('leaks')).length > 0)
  const [leak] = await peer.call('leaks')
  assert.equal(leak!.streamId, stream.id)
  assert.match(leak!.stack!, /serve-stream/)
  assert.match(peer.stderr, /SHMESH_SLICE_LEAK/)
})

test('leakWarning has a unit', async () => {
  for (const leakWarning of ['60', '0s', '1 fortnight']) {
    await assert.rejects(connect('/nowhere', { leakWarning }), { code: 'SHM_ERR_INVALID_ARG' })
  }
})
