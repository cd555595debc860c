/** Peers that are stopped (SIGSTOP): the kernel answers for them, they do not. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { eventually } from '../../test/support/eventually.ts'
import { pattern, sha256 } from '../../test/support/pattern.ts'
import { type Scene, scene } from '../../test/support/scene.ts'
import { connect, Link, listen, type ShmSession } from '../index.ts'
import { serveStream } from './fixtures/serve-stream.ts'
import { closing, command, type Peer, readAll, startPeer } from './peer.ts'

async function serve(stage: Scene): Promise<Peer> {
  const server = await startPeer(stage)
  await server.call('listen', { path: stage.path })
  await server.call('baseline')
  stage.defer(async () => {
    if (!server.running) return
    server.signal('SIGCONT')
    await server.call('closeListeners')
  })
  return server
}

/** A session with a server of its own, to see that this process still does its work. */
async function healthy(stage: Scene): Promise<ShmSession> {
  const path = `${stage.path}.healthy`
  const server = await startPeer(stage)
  await server.call('listen', { path })
  stage.defer(() => server.call('closeListeners'))
  const session = await connect(path)
  stage.defer(() => session.destroy())
  return session
}

async function echo(session: ShmSession): Promise<void> {
  const stream = command(session, 'echo')
  const answer = readAll(stream)
  stream.end('at work')
  assert.equal((await answer).toString(), 'at work')
}

test('a server stopped before the handshake costs a client a second, and nobody else', async (t) => {
  const stage = await scene(t)
  const other = await healthy(stage)
  const server = await serve(stage)
  await server.stop()
  const refusal = assert.rejects(connect(stage.path), {
    code: 'SHM_ERR_HANDSHAKE',
    message: /in time/
  })
  for (let round = 0; round < 10; round++) await echo(other)
  await refusal

  server.signal('SIGCONT')
  const session = await connect(stage.path)
  await echo(session)
  await session.close()
  // It found a client that had gone.
  await eventually('it says so', async () => (await server.call('seen')).refused.length === 1)
  await server.call('clean')
})

test('a link to a stopped server uses sockets, until it goes on', async (t) => {
  const stage = await scene(t)
  const server = await serve(stage)
  await server.stop()
  const link = new Link(stage.path)
  stage.defer(() => link.destroy())
  const { stream, transport } = await link.connect()
  assert.equal(transport, 'socket')
  const answer = readAll(stream)
  stream.end('echo\npatience')
  server.signal('SIGCONT')
  assert.equal((await answer).toString(), 'patience')
  await eventually('shared memory is used', async () => {
    const next = await link.connect()
    next.stream.destroy()
    return next.transport === 'shm'
  })
})

test('clients stopped at any moment of the handshake delay nobody', async (t) => {
  const stage = await scene(t)
  const listener = await listen({ path: stage.path })
  listener.on('stream', (stream) => serveStream(stream, () => undefined))
  stage.defer(() => listener.close())
  const client = await startPeer(stage)
  await client.call('connect', stage.path)
  await client.call('destroySessions')
  for (let turns = 0; turns < 12; turns++) {
    const connecting = client
      .call('connect', stage.path)
      .catch((failure: NodeJS.ErrnoException) => failure)
    for (let turn = 0; turn < turns; turn++) await setImmediate()
    await client.stop()
    const session = await connect(stage.path)
    await echo(session)
    await session.close()
    client.signal('SIGCONT')
    const error = await connecting
    // Only when it was stopped for a second.
    if (error !== undefined) assert.equal(error.code, 'SHM_ERR_HANDSHAKE')
    await client.call('destroySessions')
  }
  await eventually('no session is left', () => listener.sessions.size === 0)
})

test('a server stopped under load stops its senders at their windows, and no one else', async (t) => {
  const stage = await scene(t)
  const other = await healthy(stage)
  const server = await serve(stage)
  const session = await connect(stage.path, { memory: '4MiB' })
  stage.defer(() => session.destroy())
  const body = pattern(3_000_000)
  const streams = Array.from({ length: 8 }, () => command(session, 'hash'))
  await server.stop()
  const answers = streams.map(readAll)
  for (const stream of streams) assert.equal(stream.write(body), false)
  for (let round = 0; round < 20; round++) await echo(other)
  // A message may start while there is credit.
  const most = 1024 * 1024 + 256 * 1024
  for (const stream of streams) assert.ok(stream.bytesWritten <= most, `${stream.bytesWritten}`)
  for (const stream of streams) stream.end()
  server.signal('SIGCONT')
  for (const answer of answers) assert.equal(`${await answer}`, `${body.length} ${sha256(body)}`)
})

test('a server killed while it is stopped under load is a dead one', async (t) => {
  const stage = await scene(t)
  const server = await serve(stage)
  const session = await connect(stage.path, { memory: '1MiB' })
  const reason = once(session, 'close')
  const streams = Array.from({ length: 8 }, () => command(session, 'flood'))
  const endings = streams.map(closing)
  await Promise.all(streams.map((stream) => once(stream, 'data')))
  await server.stop()
  for (const stream of streams) stream.write(pattern(2_000_000))
  await eventually('the socket is used', () => streams.some((stream) => stream.fallbackBytes > 0))
  server.signal('SIGKILL')
  for (const error of await Promise.all(endings)) assert.equal(error?.code, 'ECONNRESET')
  await reason
  assert.equal(session.memory.length, 0)
  await server.ended()
  await (await listen({ path: stage.path })).close()
})
