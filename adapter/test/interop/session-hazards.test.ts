/** What goes wrong with sessions between careless ends, one test a hazard: docs/reference/interop.md. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { connect } from '../../shmipc/index.ts'
import { eventually } from '../support/eventually.ts'
import { pattern } from '../support/pattern.ts'
import { scene } from '../support/scene.ts'
import { app, echoServer, settled } from './ends.ts'
import { hazard, resumed } from './hazard.ts'
import type { Answered, Echoed } from './peer.ts'

function block(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}

hazard('H7: a session that closes loses nothing it has sent', async (here, peer) => {
  const listener = await echoServer(here, { path: here.path })
  listener.removeAllListeners('stream')
  const body = pattern(3_000_000)
  listener.on('stream', (stream) => {
    stream.resume().once('data', () => {
      stream.end(body, () => stream.destroy())
      // Before a byte of it can have been read.
      void stream.session.close()
    })
  })
  // It has taken from the ring what it reads after its pause.
  for (const [round, pauseMs] of [0, 0, 0, 60, 60].entries()) {
    await peer.call('dial', { name: 'a', address: here.path })
    const args = { name: 'a', line: `pull ${round}`, pauseMs }
    const pulled = peer.call<{ bytes: number }>('pull', args)
    await resumed(peer, `pull ${round}`)
    assert.equal((await pulled).bytes, body.length)
    await peer.call('hangUp', { name: 'a' })
  }
})

hazard('H8: data of a stream that is closed opens no other', async (here, peer) => {
  let streams = 0
  const listener = await echoServer(here)
  listener.removeAllListeners('stream')
  listener.on('stream', (stream) => {
    streams++
    stream.on('error', () => undefined)
    // The client goes on writing.
    stream.once('data', () => stream.destroy())
  })
  await peer.call('dial', { name: 'a', address: here.path })
  for (let i = 0; i < 20; i++) {
    const args = { name: 'a', streams: 1, rounds: 1, sizes: [2_000_000] }
    await assert.rejects(peer.call('echo', args))
  }
  await settled(listener.sessions)
  assert.equal(streams, 20)
})

test('H9: a server that says nothing costs a client one second', async (t) => {
  const here = await scene(t)
  const server = createServer().listen(here.path)
  await once(server, 'listening')
  here.defer(() => server.close())
  server.on('connection', (socket) => socket.on('error', () => undefined).resume())
  const start = performance.now()
  await assert.rejects(connect(here.path), { code: 'SHM_ERR_HANDSHAKE' })
  assert.ok(performance.now() - start < 3000)
})

hazard(
  'H10: a slow reader makes our end wait, not fall back, and new streams open',
  async (here, peer) => {
    const listener = await echoServer(here)
    listener.removeAllListeners('stream')
    const body = pattern(6_000_000)
    listener.on('stream', (stream) => {
      stream.on('error', () => undefined)
      stream.resume().once('data', () => stream.end(body, () => stream.destroy()))
    })
    await peer.call('dial', { name: 'a', address: here.path, memory: 4 << 20 })
    const pulled = peer.call<{ bytes: number }>('pull', { name: 'a', line: 'pull' })
    await eventually('the memory is full', () =>
      [...listener.sessions].some((session) => (session.statistics().allocationFailures ?? 0) > 0)
    )
    await resumed(peer, 'pull')
    assert.equal((await pulled).bytes, body.length)
    // Would fail for 30 s.
    const statistics = await peer.call<{ fallbackReads: number }>('statistics', { name: 'a' })
    assert.equal(statistics.fallbackReads, 0)
  }
)

hazard('H10: shmnet opens streams although a session has seen fallback', async (here, peer) => {
  await app(here)
  // Each message is larger than the memory, and goes by the socket.
  const answered: Answered = await peer.call('request', {
    address: here.path,
    url: 'http://app/echo',
    method: 'POST',
    wrapped: true,
    memory: 1 << 20,
    sizes: [4_000_000],
    rounds: 3,
    concurrent: 8
  })
  assert.equal(answered.answered, 24)
})

hazard('H11: shmnet finds a server that came back within milliseconds', async (here, peer) => {
  const first = await app(here)
  const get = {
    address: here.path,
    url: 'http://app/hello',
    method: 'GET',
    wrapped: true,
    sizes: [0],
    concurrent: 4,
    rounds: 3000
  }
  const load = peer.call<Answered>('request', get)
  await eventually('it is asked', () => peer.running)
  const start = performance.now()
  await first.close()
  await app(here)
  const back = performance.now() - start
  const { answered } = await load
  assert.equal(answered, 4 * 3000)
  assert.ok(back < 10_000)
})

hazard('H12: a handshake succeeds while the event loop is blocked', async (here, peer) => {
  const listener = await echoServer(here)
  const dialled = peer.call('dial', { name: 'a', address: here.path })
  await new Promise((resolve) => setImmediate(resolve))
  // Longer than the second shmipc-go waits.
  block(1500)
  await dialled
  await peer.call('echo', { name: 'a', streams: 1, rounds: 1, sizes: [10] })
  await settled(listener.sessions)
})

hazard('H13: a busy event loop fails no write of shmipc-go', async (here, peer) => {
  const listener = await echoServer(here)
  await peer.call('dial', { name: 'a', address: here.path })
  const echoed = peer.call<Echoed>('echo', {
    name: 'a',
    streams: 64,
    rounds: 50,
    sizes: [1, 100, 5000]
  })
  for (let i = 0; i < 5; i++) {
    await new Promise((resolve) => setImmediate(resolve))
    // shmipc-go gives a full ring up after 100.
    block(150)
  }
  assert.equal((await echoed).messages, 64 * 50 * 3)
  await settled(listener.sessions)
})

hazard('H15: the socket is read although its stream is not', async (here, peer) => {
  const listener = await echoServer(here)
  listener.removeAllListeners('stream')
  let first = true
  listener.on('stream', (stream) => {
    stream.on('error', () => undefined)
    if (first) stream.pause()
    else stream.pipe(stream)
    first = false
  })
  await peer.call('dial', { name: 'a', address: here.path, memory: 1 << 20 })
  // Falls back: it is larger than the memory. Then nothing new can be opened on this session.
  void peer.call('pull', { name: 'a', line: 'y'.repeat(900_000) }).catch(() => undefined)
  await eventually('it is there', () => !first)
  await peer.call('dial', { name: 'b', address: here.path })
  await peer.call('echo', { name: 'b', streams: 2, rounds: 2, sizes: [100_000] })
})

hazard('H16: a stream that sent nothing is none', async (here, peer) => {
  const listener = await echoServer(here)
  let streams = 0
  listener.on('stream', () => streams++)
  await peer.call('dial', { name: 'a', address: here.path })
  await peer.call('statistics', { name: 'a' })
  await peer.call('echo', { name: 'a', streams: 1, rounds: 1, sizes: [1] })
  assert.equal(streams, 1)
})

hazard(
  'H17: a stream the client closes is closed here; closes and data race',
  async (here, peer) => {
    const listener = await echoServer(here)
    await peer.call('dial', { name: 'a', address: here.path })
    await peer.call('raceClose', { name: 'a', streams: 2000, size: 3000 })
    await settled(listener.sessions)
    const { inUse } = await peer.call<{ inUse: number }>('statistics', { name: 'a' })
    assert.ok(inUse < 64 * 1024, `${inUse} bytes of the client's memory are in use`)
  }
)
