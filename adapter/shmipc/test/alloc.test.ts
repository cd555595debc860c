import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Worker } from 'node:worker_threads'
import { eventually } from '../../test/support/eventually.ts'
import { pattern, sha256 } from '../../test/support/pattern.ts'
import { scene } from '../../test/support/scene.ts'
import { connect, SharedBody, type ShmSession } from '../index.ts'
import { command, openSession, quiet, readAll } from './peer.ts'

const MIB = 1024 * 1024

const collectGarbage = (() => {
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc') as () => void
})()

function held(session: ShmSession): number {
  return (session.statistics().lists ?? []).reduce((sum, list) => sum + list.held, 0)
}

test('what alloc gives is zero, in shared memory, and arrives as it was filled', async (t) => {
  const { session } = await openSession(await scene(t))
  for (const bytes of [16 * 1024, 100_000, MIB, 4 * MIB]) {
    const body = pattern(bytes)
    for (let round = 0; round < 3; round++) {
      const stream = command(session, 'hash')
      const answer = readAll(stream)
      const buffer = stream.alloc(bytes)
      assert.equal(buffer.length, bytes)
      assert.ok(
        buffer.every((byte) => byte === 0),
        'no byte of an earlier message'
      )
      assert.equal(held(session), 1)
      body.copy(buffer)
      stream.end(buffer)
      assert.equal((await answer).toString(), `${bytes} ${sha256(body)}`)
      assert.equal(buffer.length, 0, 'who wrote it does not see what becomes of it')
    }
  }
})

test('a part of it may be written, and more than the window', async (t) => {
  const { session } = await openSession(await scene(t))
  const stream = command(session, 'hash')
  const answer = readAll(stream)
  const body = pattern(6 * MIB + 1000)
  let at = 0
  for (const bytes of [2 * MIB, 1000, 4 * MIB]) {
    const buffer = stream.allocUnsafe(bytes + 5000)
    body.copy(buffer, 0, at, at + bytes)
    at += bytes
    if (!stream.write(buffer.subarray(0, bytes))) await once(stream, 'drain')
  }
  stream.end()

  assert.equal((await answer).toString(), `${body.length} ${sha256(body)}`)
})

test('what is small, or too large, or more than there is, is ordinary memory', async (t) => {
  const { session } = await openSession(await scene(t), '4MiB')
  const stream = command(session, 'hash')
  const answer = readAll(stream)
  const body = pattern(20 * MIB)
  let at = 0
  const buffers = [100, 100_000, 100_000, 9 * MIB, MIB, MIB, MIB].map((bytes) => {
    const buffer = stream.allocUnsafe(bytes)
    at += body.copy(buffer, 0, at)
    return buffer
  })
  for (const buffer of buffers) stream.write(buffer)
  stream.end()

  assert.equal((await answer).toString(), `${at} ${sha256(body.subarray(0, at))}`)
})

test('what is written to another session is copied', async (t) => {
  const stage = await scene(t)
  const { session } = await openSession(stage)
  const other = await connect(stage.path)
  stage.defer(async () => {
    await quiet(other)
    other.destroy()
  })
  const [from, to] = [command(session, 'hash'), command(other, 'hash')]
  const answer = readAll(to)
  const body = pattern(MIB)
  const buffer = from.alloc(MIB)
  body.copy(buffer)
  to.end(buffer)
  from.end()
  await readAll(from)

  assert.equal((await answer).toString(), `${MIB} ${sha256(body)}`)
})

test('a stream that is destroyed gives back what waits, and the collector what was dropped', async (t) => {
  const { session } = await openSession(await scene(t))
  const stream = command(session, 'ignore')
  stream.on('error', () => undefined)
  stream.write(stream.alloc(MIB))
  stream.write(stream.alloc(MIB))
  assert.equal(held(session), 1, 'the window is used up')
  stream.destroy()
  assert.equal(held(session), 0)

  const other = command(session, 'hash')
  ;(() => other.alloc(MIB).fill(1))()
  assert.equal(held(session), 1)
  await eventually('it is collected', () => {
    collectGarbage()
    return held(session) === 0
  })
  other.end()
  await readAll(other)
})

test('a session that ends leaves the memory to who still fills it', async (t) => {
  const { session } = await openSession(await scene(t))
  const stream = command(session, 'hash')
  stream.on('error', () => undefined)
  ;(() => {
    const buffer = stream.alloc(MIB)
    session.destroy()
    buffer.fill(7)
    assert.equal(buffer[MIB - 1], 7)
  })()
  await new Promise((resolve) => setImmediate(resolve))
  collectGarbage()
})

test('it cannot be moved to another thread', async (t) => {
  const stage = await scene(t)
  const { session } = await openSession(stage)
  const stream = command(session, 'hash')
  const buffer = stream.alloc(MIB)
  const worker = new Worker('setInterval(() => undefined, 1000)', { eval: true })
  stage.defer(() => worker.terminate())
  try {
    worker.postMessage(buffer, [buffer.buffer as ArrayBuffer])
  } catch (error) {
    assert.equal((error as Error).name, 'DataCloneError')
  }
  // Node 20 clones what may not be moved.
  assert.equal(buffer.length, MIB)
  stream.end(buffer)
  await readAll(stream)
})

test('a shared body is copied to a session once and read by many streams', async (t) => {
  const { session, peer } = await openSession(await scene(t))
  const bytes = pattern(3 * MIB + 17)
  const shared = new SharedBody(bytes)
  const expected = `${bytes.length} ${sha256(bytes)}`
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => {
      const stream = command(session, 'hash')
      const answer = readAll(stream)
      stream.end(shared.buffer)
      return answer
    })
  )
  for (const answer of answers) assert.equal(answer.toString(), expected)
  await eventually('all lends have ended', () => session.statistics().lentOut === 0)
  assert.equal(held(session), 4)

  shared.close()
  assert.equal(held(session), 0)
  // As any Buffer, from here on.
  const stream = command(session, 'hash')
  const answer = readAll(stream)
  stream.end(shared.buffer)
  assert.equal((await answer).toString(), expected)
  await peer.call('quiet')
  await quiet(session)
})

test('closing a shared body that is being read takes nothing from its readers', async (t) => {
  const { session } = await openSession(await scene(t))
  const bytes = pattern(5 * MIB)
  const shared = new SharedBody(bytes)
  const stream = command(session, 'hash')
  const answer = readAll(stream)
  stream.end(shared.buffer)
  shared.close()

  assert.equal((await answer).toString(), `${bytes.length} ${sha256(bytes)}`)
})

test('a stream reset in the middle of a shared body ends the loan', async (t) => {
  const { session } = await openSession(await scene(t))
  const shared = new SharedBody(pattern(5 * MIB))
  const stream = command(session, 'ignore')
  stream.on('error', () => undefined)
  stream.write(shared.buffer)
  await eventually('some of it is lent', () => (session.statistics().lentOut ?? 0) > 0)
  stream.destroy()
  await eventually('all lends have ended', () => session.statistics().lentOut === 0)
  shared.close()
  await quiet(session)
})
