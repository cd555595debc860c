import assert from 'node:assert/strict'
import { once } from 'node:events'
import process from 'node:process'
import { test } from 'node:test'
import { eventually } from '../../test/support/eventually.ts'
import { pattern, sha256 } from '../../test/support/pattern.ts'
import { scene } from '../../test/support/scene.ts'
import { connect, listen, type ShmSession } from '../index.ts'
import { closing, command, openSession, quiet, readAll, startPeer } from './peer.ts'

function closed(session: ShmSession): Promise<Error | undefined> {
  return new Promise((resolve) => session.once('close', resolve))
}

test('close() lets streams end first, and opens no more', async (t) => {
  const { session, peer } = await openSession(await scene(t))
  const stream = command(session, 'hash')
  const answer = readAll(stream)
  const reason = closed(session)
  const done = session.close()

  assert.throws(() => session.openStream(), { code: 'SHM_ERR_SESSION_CLOSED' })
  stream.end(pattern(2_000_000))
  assert.equal((await answer).toString(), `2000000 ${sha256(pattern(2_000_000))}`)
  await done
  assert.equal(await reason, undefined)
  assert.equal(session.closed, true)
  assert.throws(() => session.openStream(), { code: 'SHM_ERR_SESSION_CLOSED' })
  await peer.call('clean')
})

test('each call of close() is answered when the last stream has ended', async (t) => {
  const { session } = await openSession(await scene(t))
  const stream = command(session, 'hash')
  const answer = readAll(stream)
  const calls = [session.close(), session.close(), session.close()]
  stream.end('bytes')
  await answer
  await Promise.all(calls)
})

test('close() of a session without streams is immediate, and twice is once', async (t) => {
  const { session } = await openSession(await scene(t))
  await Promise.all([session.close(), session.close()])
  await session.close()
  session.destroy()
  assert.equal(session.closed, true)
})

test('destroy() resets every stream, at both ends, and frees all at once', async (t) => {
  const { session, peer } = await openSession(await scene(t))
  const streams = Array.from({ length: 20 }, () => command(session, 'flood'))
  const errors = Promise.all(streams.map(closing))
  await Promise.all(streams.map((stream) => once(stream, 'data')))
  session.destroy()

  for (const error of await errors) assert.equal(error?.code, 'ECONNRESET')
  assert.equal(session.streams, 0)
  assert.equal(session.statistics().memoryBytes, 0)
  await peer.call('clean')
  for (const { error } of await peer.call('outcomes', 20)) assert.equal(error, 'ECONNRESET')
  const [reason] = (await peer.call('seen')).closeErrors
  assert.match(reason ?? '', /is gone/)
})

test('destroy(error) tells the streams why', async (t) => {
  const { session } = await openSession(await scene(t))
  const stream = command(session, 'hold')
  const error = closing(stream)
  session.destroy(new Error('the configuration changed'))

  const { code, message, cause } = (await error)!
  assert.equal(code, 'ECONNRESET')
  assert.equal(message, 'the configuration changed')
  assert.equal((cause as Error).message, 'the configuration changed')
})

test('the peer destroys the session', async (t) => {
  const { session, peer } = await openSession(await scene(t))
  const stream = command(session, 'flood')
  const error = closing(stream)
  const reason = closed(session)
  await once(stream, 'data')
  await peer.call('destroySessions')

  assert.equal((await error)?.code, 'ECONNRESET')
  assert.match((await reason)?.message ?? '', /is gone/)
})

test('a data listener may destroy the session', async (t) => {
  const { session } = await openSession(await scene(t))
  const streams = Array.from({ length: 10 }, () => command(session, 'source 3000000'))
  const errors = streams.map(closing)
  let calls = 0
  for (const stream of streams) {
    stream.on('data', () => {
      calls++
      session.destroy()
    })
  }
  for (const error of await Promise.all(errors)) assert.equal(error?.code, 'ECONNRESET')
  assert.equal(calls, 1)
})

test('a data listener that throws harms its own stream only', async (t) => {
  const { session } = await openSession(await scene(t))
  const thrown: unknown[] = []
  const others = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException')
  process.on('uncaughtException', (error) => thrown.push(error))
  t.after(() => {
    process.removeAllListeners('uncaughtException')
    for (const listener of others) process.on('uncaughtException', listener)
  })
  const bodies = Array.from({ length: 8 }, (_, seed) => pattern(2_000_000, seed))
  const answers = bodies.map(async (body) => {
    const stream = command(session, 'echo')
    const answer = readAll(stream)
    stream.end(body)
    return sha256(await answer)
  })
  const faulty = command(session, 'source 3000000')
  faulty.end()
  faulty.on('data', () => {
    throw new Error('in a listener')
  })
  const ended = once(faulty, 'end')

  assert.deepEqual(await Promise.all(answers), bodies.map(sha256))
  await ended
  assert.ok(thrown.length > 1)
  assert.ok(thrown.every((error) => (error as Error).message === 'in a listener'))
  await quiet(session)
})

test('many sessions of one process do not disturb each other', async (t) => {
  const stage = await scene(t)
  const { session: first, peer } = await openSession(stage, '1MiB')
  const others = await Promise.all(
    Array.from({ length: 20 }, () => connect(stage.path, { memory: '1MiB' }))
  )
  stage.defer(() => {
    for (const session of others) session.destroy()
  })
  const sums = await Promise.all(
    [first, ...others].map(async (session, seed) => {
      const stream = command(session, 'echo')
      const answer = readAll(stream)
      stream.end(pattern(700_000, seed))
      return sha256(await answer)
    })
  )

  assert.deepEqual(
    sums,
    sums.map((_, seed) => sha256(pattern(700_000, seed)))
  )
  assert.equal((await peer.call('seen')).sessions, 21)
  for (const session of others) await quiet(session)
})

test('only the client opens streams', async (t) => {
  const stage = await scene(t)
  const listener = await listen({ path: stage.path })
  stage.defer(() => listener.close())
  const accepted = once(listener, 'session')
  const peer = await startPeer(stage)
  await peer.call('connect', stage.path)
  const [session] = (await accepted) as [ShmSession]
  stage.defer(() => session.destroy())

  assert.equal(session.role, 'server')
  assert.throws(() => session.openStream(), { code: 'SHM_ERR_PROTOCOL' })
})

test('accounts for every slice', async (t) => {
  const { session, peer } = await openSession(await scene(t), '4MiB')
  const stream = command(session, 'hash')
  const answer = readAll(stream)
  stream.end(pattern(9_000_000))
  await answer
  await quiet(session)
  await peer.call('quiet')

  for (const end of [session.statistics(), ...(await peer.call('statistics'))]) {
    let allocated = 0
    for (const list of end.lists ?? []) {
      assert.equal(list.allocated, list.freed + list.held + list.lent)
      allocated += list.allocated
    }
    assert.ok(allocated > 0)
  }
})

for (const [what, unref] of [
  ['a session without streams', undefined],
  ['a session whose streams are unreferenced', true]
] as const) {
  test(`${what} keeps no process alive`, async (t) => {
    const stage = await scene(t)
    const { peer: server } = await openSession(stage)
    const client = await startPeer(stage)
    await client.call('connect', stage.path)
    if (unref !== undefined) await client.call('wait', unref)
    await client.call('letGo')

    assert.equal(await client.ended(), 0)
    await server.call('quiet')
  })
}

test('an open stream keeps the process alive until it ends', async (t) => {
  const stage = await scene(t)
  const { peer: server } = await openSession(stage)
  const client = await startPeer(stage)
  await client.call('connect', stage.path)
  await client.call('wait', false)
  await client.call('letGo')
  const ended = client.ended()
  // The client has had turns enough to end when it answers through the server.
  await eventually('the stream has come', async () => {
    const statistics = await server.call('statistics')
    return statistics.some(({ streams }) => streams > 0)
  })
  assert.equal(client.running, true)
  await server.call('destroySessions')

  assert.notEqual(await ended, undefined)
})

test('whoever reads the first slice of a message destroys the session', async (t) => {
  const { session, peer } = await openSession(await scene(t), '1MiB')
  const stream = command(session, 'source 400000')
  const closed = closing(stream)
  stream.on('data', () => session.destroy())

  assert.equal((await closed)?.code, 'ECONNRESET')
  assert.equal(session.closed, true)
  await peer.call('quiet')
})
