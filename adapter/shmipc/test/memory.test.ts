import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually } from '../../test/support/eventually.ts'
import { pattern, sha256 } from '../../test/support/pattern.ts'
import { scene } from '../../test/support/scene.ts'
import { Status } from '../status.ts'
import { command, openSession, readAll } from './peer.ts'

const MIB = 1024 * 1024
/** Of the larger slices, for the head of a body. */
const HEAD_ROOM = 4096

test('a session nobody uses takes little memory, and works again', async (t) => {
  const { session } = await openSession(await scene(t), '64MiB')
  for (let round = 0; round < 2; round++) {
    const body = pattern(16 * MIB)
    const streams = Array.from({ length: 4 }, () => command(session, 'hash'))
    const answers = streams.map(readAll)
    for (const stream of streams) stream.end(body)
    const expected = `${body.length} ${sha256(body)}`
    for (const answer of answers) assert.equal((await answer).toString(), expected)

    await eventually(
      () => `the memory is given back: ${JSON.stringify(session.statistics())}`,
      () => session.statistics().residentBytes! <= 2 * MIB
    )
  }
  assert.ok(session.statistics().punchedBytes! > 0)
})

test('a body in one held slice is lent to many streams and sent at last', async (t) => {
  const { session } = await openSession(await scene(t), '64MiB')
  const { native, memory, spans } = session
  const { sliceHeaderBytes, maxSliceBytes } = native.describe()
  assert.equal(maxSliceBytes, 4 * MIB + HEAD_ROOM)
  assert.equal(native.hold(maxSliceBytes + 1, 64 * MIB), 0)

  const body = pattern(200_000)
  const slice = native.hold(body.length, 64 * MIB)
  body.copy(memory, slice + sliceHeaderBytes)
  const publish = (id: number, status: 0 | 5) => {
    spans.set([slice, body.length])
    assert.equal(native.sendHeld(id, status, 1), true)
  }
  const streams = Array.from({ length: 10 }, () => command(session, 'hash'))
  const answers = streams.map(readAll)
  const expected = `${body.length} ${sha256(body)}`
  for (const stream of streams) publish(stream.id, Status.lend)

  assert.equal(session.statistics().lentOut, 10)
  const holders = native.holders(1000).filter(({ state }) => state === 'lentOut')
  assert.deepEqual(
    holders.map((holder) => [holder.slice, holder.stream]),
    [[slice, streams[0]!.id]]
  )
  assert.equal(native.holders(1).length, 1)
  assert.throws(() => native.release(slice), /not held/)
  spans.set([slice, body.length])
  assert.throws(() => native.sendHeld(1, Status.data, 1), /not held/)

  await eventually('every lend has ended', () => session.statistics().lentOut === 0)
  const last = command(session, 'hash')
  publish(last.id, Status.data)
  assert.throws(() => native.release(slice), /not held/)
  for (const stream of [...streams, last]) stream.end()
  for (const answer of [...answers, readAll(last)]) {
    assert.equal((await answer).toString(), expected)
  }
})
