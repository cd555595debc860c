import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually } from '../../test/support/eventually.ts'
import { scene } from '../../test/support/scene.ts'
import type { HeldSlice, ShmSession } from '../index.ts'
import { openSession } from './peer.ts'

const MIB = 1024 * 1024

/** A session all of whose memory for 1 MiB is held. */
async function exhausted(t: import('node:test').TestContext, memory = '8MiB') {
  const here = await scene(t)
  const { session } = await openSession(here, memory)
  const held: HeldSlice[] = []
  for (;;) {
    const slice = session.slices.hold(MIB)
    if (slice === undefined) break
    held.push(slice)
  }
  assert.ok(held.length >= 2, `${held.length} slices`)
  here.defer(() => {
    for (const slice of held) slice.release()
  })
  return { session, held }
}

/** Who waits notes its name when it is its turn. */
function queue(session: ShmSession) {
  const turns: string[] = []
  const given: HeldSlice[] = []
  const wait = (name: string, bytes = MIB) =>
    session.slices.wait(bytes, (slice) => {
      turns.push(slice === undefined ? `${name} in vain` : name)
      if (slice !== undefined) given.push(slice)
    })
  return { turns, given, wait }
}

test('who waits for a slice gets one in order of arrival, and nobody gets past', async (t) => {
  const { session, held } = await exhausted(t)
  const { turns, given, wait } = queue(session)
  wait('first')
  wait('second')
  held.pop()!.release()
  assert.equal(session.slices.hold(MIB), undefined, 'it is the first one`s')
  await eventually('the first has it', () => turns.length > 0)
  held.pop()!.release()
  await eventually('the second has it', () => turns.length > 1)

  assert.deepEqual(turns, ['first', 'second'])
  held.push(...given)
})

test('smaller slices are not kept from anybody by those who wait for larger ones', async (t) => {
  const { session, held } = await exhausted(t)
  const { turns, given, wait } = queue(session)
  wait('large')
  held.push(session.slices.hold(20_000)!)
  wait('small', 20_000)
  await eventually('both have had their turn', () => turns.length === 2)

  assert.deepEqual(turns, ['small', 'large in vain'])
  held.push(...given)
})

test('nobody waits for slices that do not come back, and who is forgotten hears nothing', async (t) => {
  const { session } = await exhausted(t)
  const { turns, wait } = queue(session)
  const forget = wait('forgotten')
  wait('patient')
  forget()
  await eventually('it has given up', () => turns.length > 0)

  assert.deepEqual(turns, ['patient in vain'])
})

for (const [memory, most] of [
  ['64MiB', 3],
  ['32MiB', 1]
] as const) {
  test(`of ${memory} the largest slices make up half at most, and there is one`, async (t) => {
    const here = await scene(t)
    const { session } = await openSession(here, memory)
    const held: HeldSlice[] = []
    here.defer(() => {
      for (const slice of held) slice.release()
    })
    for (let slice = session.slices.hold(4 * MIB); slice; slice = session.slices.hold(4 * MIB)) {
      held.push(slice)
    }
    assert.equal(held.length, most)
    const other = session.slices.hold(MIB)
    assert.ok(other, 'the rest is for others')
    held.push(other)
  })
}
