import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { eventually } from '../../test/support/eventually.ts'
import { pattern, sha256 } from '../../test/support/pattern.ts'
import { scene } from '../../test/support/scene.ts'
import { closing, command, openSession, readAll } from './peer.ts'

test('half-close: the peer answers after our end', async (t) => {
  const { session, peer } = await openSession(await scene(t))
  const body = pattern(2_000_000)
  const stream = command(session, 'hash')
  const closed = closing(stream)
  const answer = readAll(stream)
  stream.end(body)

  assert.equal((await answer).toString(), `${body.length} ${sha256(body)}`)
  assert.equal(await closed, undefined)
  assert.equal((await peer.call('outcomes', 1))[0]?.error, null)
})

test('half-close: we go on writing after the end of the peer', async (t) => {
  const { session, peer } = await openSession(await scene(t))
  const stream = command(session, 'end')
  const closed = closing(stream)
  stream.resume()
  await once(stream, 'end')
  assert.equal(stream.writable, true)
  const body = pattern(3_000_000)
  stream.end(body)

  assert.equal(await closed, undefined)
  const [outcome] = await peer.call('outcomes', 1)
  assert.deepEqual(outcome, { command: 'end', error: null, bytesRead: body.length + 4 })
})

test('an end without data is an end', async (t) => {
  const { session } = await openSession(await scene(t))
  const stream = command(session, 'end')
  const closed = closing(stream)
  const answer = readAll(stream)
  stream.end()

  assert.equal((await answer).length, 0)
  assert.equal(await closed, undefined)
})

test('an empty write before the end waits for those before it', async (t) => {
  const { session } = await openSession(await scene(t))
  const stream = command(session, 'hash')
  const answer = readAll(stream)
  const body = pattern(3_000_000)
  stream.cork()
  stream.write(body)
  stream.write(Buffer.alloc(0))
  stream.uncork()
  stream.end()

  assert.equal((await answer).toString(), `${body.length} ${sha256(body)}`)
})

for (const [what, error] of [
  ['destroy()', undefined],
  ['destroy(error)', new Error('mine')]
] as const) {
  test(`${what} is a reset for the peer`, async (t) => {
    const { session, peer } = await openSession(await scene(t))
    const stream = command(session, 'hold')
    const closed = closing(stream)
    await new Promise((resolve) => stream.write('some', resolve))
    stream.destroy(error)

    assert.equal(await closed, error)
    const [outcome] = await peer.call('outcomes', 1)
    assert.equal(outcome?.error, 'ECONNRESET')
  })
}

test('destroy() before the first byte is nothing to the peer', async (t) => {
  const { session, peer } = await openSession(await scene(t))
  session.openStream().destroy()
  const stream = command(session, 'hash')
  stream.end()
  await readAll(stream)

  assert.equal((await peer.call('outcomes', 1)).length, 1)
})

for (const line of ['destroy', 'fail']) {
  test(`a peer that does ${line} resets the stream, with what we write`, async (t) => {
    const { session } = await openSession(await scene(t))
    const stream = command(session, line)
    const closed = closing(stream)
    const ended = new Promise((resolve) => stream.write(pattern(4_000_000), resolve))

    const error = await closed
    assert.equal(error?.code, 'ECONNRESET')
    assert.equal(error?.name, 'ConnectionResetError')
    await ended
  })
}

test('what a peer wrote before it destroyed the stream is seen by a reader that keeps up', async (t) => {
  const { session } = await openSession(await scene(t))
  const stream = command(session, 'farewell')
  const closed = closing(stream)
  const seen: string[] = []
  // As HTTP clients read: not 'data', but read() when told.
  stream.on('readable', () => {
    for (let chunk = stream.read(); chunk !== null; chunk = stream.read()) seen.push(String(chunk))
  })

  assert.equal((await closed)?.code, 'ECONNRESET')
  assert.deepEqual(seen, ['farewell'])
})

test('destroy() after our own end is a reset for a peer that still writes', async (t) => {
  const { session, peer } = await openSession(await scene(t))
  const stream = command(session, 'flood')
  const closed = closing(stream)
  stream.end()
  await once(stream, 'data')
  stream.destroy()

  assert.equal(await closed, undefined)
  const [outcome] = await peer.call('outcomes', 1)
  assert.equal(outcome?.error, 'ECONNRESET')
})

test('destroy() after our own end is a reset for a peer that waits for room', async (t) => {
  const { session, peer } = await openSession(await scene(t))
  const stream = command(session, 'flood')
  stream.end()
  // The window: what the peer may send to a reader that does not read.
  await eventually('the window is used up', () => stream.bytesRead >= 1024 * 1024)
  stream.destroy()

  const [outcome] = await peer.call('outcomes', 1)
  assert.equal(outcome?.error, 'ECONNRESET')
})

test('a peer that ended and went away fails what we write, not what we read', async (t) => {
  const { session } = await openSession(await scene(t))
  const stream = command(session, 'leave 500000')
  const body = await readAll(stream)
  assert.equal(sha256(body), sha256(pattern(500_000)))
  const closed = closing(stream)
  stream.write(pattern(3_000_000))

  assert.equal((await closed)?.code, 'ECONNRESET')
})

test('both ends destroy at once', async (t) => {
  const { session, peer } = await openSession(await scene(t))
  for (let i = 0; i < 200; i++) {
    const stream = command(session, 'destroy')
    stream.on('error', () => undefined)
    stream.write(pattern(100))
    setImmediate(() => stream.destroy())
  }
  await peer.call('outcomes', 200)
})

test('destroySoon() sends what was written, then closes', async (t) => {
  const { session, peer } = await openSession(await scene(t))
  const stream = command(session, 'hash')
  const closed = closing(stream)
  stream.write(pattern(5_000_000))
  stream.destroySoon()

  assert.equal(await closed, undefined)
  const [outcome] = await peer.call('outcomes', 1)
  assert.equal(outcome?.bytesRead, 5_000_005)
})

test('a reader may destroy the stream in its data listener', async (t) => {
  const { session, peer } = await openSession(await scene(t))
  const stream = command(session, 'source 8000000')
  const closed = closing(stream)
  let calls = 0
  stream.on('data', () => {
    calls++
    stream.destroy()
  })

  assert.equal(await closed, undefined)
  assert.equal(calls, 1)
  assert.equal((await peer.call('outcomes', 1))[0]?.error, 'ECONNRESET')
})

test('breaking out of an iteration destroys the stream', async (t) => {
  const { session, peer } = await openSession(await scene(t))
  for await (const chunk of command(session, 'flood')) {
    assert.ok(chunk.length > 0)
    break
  }
  assert.equal((await peer.call('outcomes', 1))[0]?.error, 'ECONNRESET')
})
