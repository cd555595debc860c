/** Memory of `alloc` whose stream ends before it was sent. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { pattern, sha256 } from '../../test/support/pattern.ts'
import { scene } from '../../test/support/scene.ts'
import type { ShmStream } from '../index.ts'
import { closing, command, openSession, quiet, readAll } from './peer.ts'

function allocated(stream: ShmStream, body: Buffer): Buffer {
  const memory = stream.allocUnsafe(body.length)
  body.copy(memory)
  return memory
}

test('what is sent together with other small pieces goes back at once', async (t) => {
  const { session } = await openSession(await scene(t))
  const stream = command(session, 'hash')
  const answer = readAll(stream)
  const body = pattern(20_000)
  const memory = allocated(stream, body)
  stream.cork()
  stream.write(memory)
  stream.write('and more')
  stream.uncork()
  assert.equal(memory.length, 0)
  stream.end()

  assert.equal(
    (await answer).toString(),
    `20008 ${sha256(Buffer.concat([body, Buffer.from('and more')]))}`
  )
})

for (const [what, write] of [
  ['write', (stream: ShmStream, memory: Buffer) => stream.write(memory)],
  ['end', (stream: ShmStream, memory: Buffer) => stream.end(memory)]
] as const) {
  test(`what waits for room after ${what}() goes back when the stream is destroyed`, async (t) => {
    const { session } = await openSession(await scene(t))
    const stream = command(session, 'ignore')
    const closed = closing(stream)
    await once(stream, 'readable')
    const body = pattern(700_000)
    // The second is the last there is credit for, the third waits in it, the others behind it.
    for (let i = 0; i < 5; i++) stream.write(allocated(stream, body))
    const last = allocated(stream, body)
    write(stream, last)
    stream.destroy()

    await closed
    await quiet(session)
    assert.equal(last.length, 0)
  })
}

test('what is written after the end goes back, and its callback says why', async (t) => {
  const { session } = await openSession(await scene(t))
  const stream = command(session, 'hold')
  const closed = closing(stream)
  const memory = allocated(stream, pattern(100_000))
  stream.destroy()
  const error = await new Promise((resolve) => stream.write(memory, resolve))

  assert.equal((error as NodeJS.ErrnoException).code, 'ERR_STREAM_DESTROYED')
  await closed
  await quiet(session)
})
