import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { Outgoing } from '../wire/outgoing.ts'
import type { Wire } from '../wire/wire.ts'

/** What is written to a wire, one line for each write. */
function recorded(): { readonly out: Outgoing; readonly writes: string[] } {
  const writes: string[] = []
  const wire = {
    blocked: false,
    write: (before: string, body: Buffer | undefined, after: string) =>
      writes.push(`${before}|${body?.length ?? 0}|${after}`)
  }
  return { out: new Outgoing(wire as unknown as Wire), writes }
}

const BODY = Buffer.alloc(100_000)

test('a head and the body that comes behind it in the same turn are one write', async () => {
  const { out, writes } = recorded()
  out.text('head')
  out.flushSoon()
  out.data(BODY)
  out.flushSoon()
  assert.deepEqual(writes, ['head|100000|'])
  await turn()
  assert.equal(writes.length, 1)
})

test('a head whose body is not there leaves before the turn ends, once', async () => {
  const { out, writes } = recorded()
  out.text('head')
  out.flushSoon()
  out.flushSoon()
  assert.deepEqual(writes, [])
  await turn()
  assert.deepEqual(writes, ['head|0|'])
  out.text('more')
  out.flushSoon()
  await turn()
  assert.deepEqual(writes, ['head|0|', 'more|0|'])
})

test('what was discarded is not written late', async () => {
  const { out, writes } = recorded()
  out.text('head')
  out.flushSoon()
  out.discard()
  await turn()
  assert.deepEqual(writes, [])
})
