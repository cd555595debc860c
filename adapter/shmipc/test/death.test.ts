import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { eventually } from '../../test/support/eventually.ts'
import { pattern } from '../../test/support/pattern.ts'
import { heldBy, surplus } from '../../test/support/resources.ts'
import { scene } from '../../test/support/scene.ts'
import { connect, listen, type ShmSession, type ShmStream } from '../index.ts'
import { flood } from './fixtures/serve-stream.ts'
import { closing, command, startPeer } from './peer.ts'

/** Reads of a stream under load before the peer dies: none, a few, many windows' worth. */
const MOMENTS = [0, 5, 200] as const

/** Resolves after so many reads on any of `streams`. */
async function reads(streams: readonly ShmStream[], count: number): Promise<void> {
  let seen = 0
  if (count === 0) return
  await new Promise<void>((resolve) => {
    for (const stream of streams) {
      stream.on('data', () => {
        if (++seen === count) resolve()
      })
    }
  })
}

/** After the peer's death: each stream ended in a reset, and everything of the session is gone. */
async function assertGone(
  session: ShmSession,
  reason: Promise<Error | undefined>,
  endings: readonly Promise<NodeJS.ErrnoException | undefined>[]
): Promise<void> {
  for (const error of await Promise.all(endings)) assert.equal(error?.code, 'ECONNRESET')
  assert.match((await reason)?.message ?? '', /is gone/)
  assert.equal(session.closed, true)
  assert.equal(session.streams, 0)
  assert.equal(session.memory.length, 0)
  assert.throws(() => session.openStream(), { code: /SHM_ERR_(SESSION_CLOSED|PROTOCOL)/ })
}

function closed(session: ShmSession): Promise<Error | undefined> {
  return new Promise((resolve) => session.once('close', resolve))
}

for (const memory of ['64MiB', '1MiB']) {
  test(`the server is killed under load, with ${memory}`, async (t) => {
    const stage = await scene(t)
    const { path } = stage
    for (const moment of MOMENTS) {
      const server = await startPeer(stage)
      // The file of the one killed before is still there.
      await server.call('listen', { path })
      const before = heldBy()
      const session = await connect(path, { memory })
      const reason = closed(session)
      const streams = Array.from({ length: 16 }, () => command(session, 'flood'))
      const endings = streams.map(closing)
      streams.forEach(flood)
      await reads(streams, moment)
      server.signal('SIGKILL')

      await assertGone(session, reason, endings)
      await server.ended()
      await eventually(
        () => `nothing is left: ${surplus(before, heldBy())}`,
        () => surplus(before, heldBy()).length === 0
      )
    }
    // Whoever comes next removes what the last one left.
    const next = await listen({ path })
    await next.close()
  })

  test(`the client is killed under load, with ${memory}`, async (t) => {
    const stage = await scene(t)
    const listener = await listen({ path: stage.path })
    stage.defer(() => listener.close())
    const streams: ShmStream[] = []
    const endings: Promise<NodeJS.ErrnoException | undefined>[] = []
    listener.on('stream', (stream) => {
      streams.push(stream)
      endings.push(closing(stream))
      flood(stream)
    })
    for (const moment of MOMENTS) {
      const before = heldBy()
      const client = await startPeer(stage)
      const accepted = once(listener, 'session')
      await client.call('connect', stage.path, { memory })
      const [session] = (await accepted) as [ShmSession]
      const reason = closed(session)
      streams.length = 0
      endings.length = 0
      await client.call('flood', 16)
      await eventually('all streams have come', () => streams.length === 16)
      await reads(streams, moment)
      client.signal('SIGKILL')

      await assertGone(session, reason, endings)
      assert.equal(listener.sessions.size, 0)
      await client.ended()
      await eventually(
        () => `nothing is left: ${surplus(before, heldBy())}`,
        () => surplus(before, heldBy()).length === 0
      )
    }
  })
}

test('the peer is killed while messages wait for its blocked event loop', async (t) => {
  const stage = await scene(t)
  const server = await startPeer(stage)
  await server.call('listen', { path: stage.path })
  const session = await connect(stage.path, { memory: '1MiB' })
  const streams = Array.from({ length: 10 }, () => command(session, 'hold'))
  const endings = streams.map(closing)
  const reason = closed(session)
  await server.call('block')
  const written = streams.map(
    (stream) => new Promise((resolve) => stream.write(pattern(3_000_000), resolve))
  )
  await eventually('the socket is used', () => streams.some((stream) => stream.fallbackBytes > 0))
  server.signal('SIGKILL')

  await assertGone(session, reason, endings)
  // Every write is answered, also those that were waiting.
  await Promise.all(written)
  await server.ended()
  const next = await listen({ path: stage.path })
  await next.close()
})

test('a stopped peer is not a dead one; killed it is', async (t) => {
  const stage = await scene(t)
  const server = await startPeer(stage)
  await server.call('listen', { path: stage.path })
  const session = await connect(stage.path)
  const stream = command(session, 'echo')
  const ending = closing(stream)
  const reason = closed(session)
  stream.write('a')
  await once(stream, 'data')
  server.signal('SIGSTOP')
  stream.write('b')
  server.signal('SIGCONT')
  await once(stream, 'data')
  server.signal('SIGSTOP')
  server.signal('SIGKILL')

  await assertGone(session, reason, [ending])
  await server.ended()
  const next = await listen({ path: stage.path })
  await next.close()
})

test('what the peer sent in full before it died can still be read', async (t) => {
  const stage = await scene(t)
  const server = await startPeer(stage)
  await server.call('listen', { path: stage.path })
  const session = await connect(stage.path)
  const stream = command(session, 'source 700000')
  stream.end()
  // Its end, too: without that nobody knows that it was all.
  await eventually('it has arrived', () => session.report().perStream[0]?.state === 'ended')
  assert.equal(stream.bytesRead, 700_000)
  const reason = closed(session)
  server.signal('SIGKILL')
  await reason
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk as Buffer)

  assert.ok(Buffer.concat(chunks).equals(pattern(700_000)))
  await server.ended()
  const next = await listen({ path: stage.path })
  await next.close()
})

test('a survivor in its own process is left with nothing of the dead', async (t) => {
  const stage = await scene(t)
  const server = await startPeer(stage)
  await server.call('listen', { path: stage.path })
  await server.call('baseline')
  stage.defer(() => server.call('closeListeners'))
  for (let round = 0; round < 2; round++) {
    const clients = await Promise.all([startPeer(stage), startPeer(stage)])
    for (const client of clients) {
      await client.call('connect', stage.path, { memory: '4MiB' })
      await client.call('flood', 8)
    }
    await eventually('all streams have come', async () => {
      const sessions = await server.call('statistics')
      return sessions.reduce((sum, { streams }) => sum + streams, 0) === 16
    })
    for (const client of clients) await client.kill()
    await server.call('clean')
    assert.deepEqual(await server.call('statistics'), [])
  }
  const outcomes = await server.call('outcomes', 32)
  assert.ok(outcomes.every(({ error }) => error === 'ECONNRESET'))
})
