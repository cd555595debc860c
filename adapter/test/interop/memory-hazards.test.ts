/** What goes wrong with shared memory between careless ends, one test a hazard: docs/reference/interop.md. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdirSync, unlinkSync } from 'node:fs'
import { test } from 'node:test'
import { eventually } from '../support/eventually.ts'
import { pattern } from '../support/pattern.ts'
import { scene } from '../support/scene.ts'
import { echoServer, exchange, sessionTo, settled } from './ends.ts'
import { hazard } from './hazard.ts'
import { serveForeign, startForeign } from './peer.ts'

test('H1: clients whose memory has one name do not share it', async (t) => {
  const here = await scene(t)
  // Process 1 of a namespace of its own each, as in two containers.
  const prefix = ['unshare', '--pid', '--fork', '--kill-child']
  if (spawnSync(prefix[0]!, [...prefix.slice(1), 'true']).status !== 0) {
    t.skip('unshare --pid is not allowed here')
    return
  }
  const peers = [
    await startForeign(t, here, 'go-peer', { prefix }),
    await startForeign(t, here, 'go-peer', { prefix })
  ]
  if (peers[0] === undefined) return
  const listener = await echoServer(here)
  for (const peer of peers) await peer!.call('dial', { name: 'a', address: here.path })
  const args = { name: 'a', streams: 8, rounds: 20, sizes: [100, 9000, 200_000] }
  await Promise.all(peers.map((peer) => peer!.call('echo', args)))
  await settled(listener.sessions)
})

hazard('H1: sessions of ours have names of their own', async (here, peer) => {
  await serveForeign(here, peer, { address: here.path, kind: 'echo' })
  const sessions = [await sessionTo(here, here.path), await sessionTo(here, here.path)]
  await Promise.all(
    sessions.map(async (session, i) => {
      const stream = session.openStream()
      for (let round = 1; round <= 20; round++) {
        const body = pattern(round * 5000, i + 1)
        assert.ok(body.equals(await exchange(stream, body)))
      }
      stream.destroy()
    })
  )
  await settled(sessions)
})

hazard('H2: shmipc-go takes memory that is sealed', async (here, peer) => {
  await serveForeign(here, peer, { address: here.path, kind: 'echo' })
  const session = await sessionTo(here, here.path)
  assert.equal(session.sealed, true)
  const stream = session.openStream()
  assert.equal(String(await exchange(stream, Buffer.from('sealed'))), 'sealed')
  stream.destroy()
})

hazard(
  'H3: memory of shmipc-go is not sealed, and not shown to users as it is',
  async (here, peer) => {
    const listener = await echoServer(here)
    await peer.call('dial', { name: 'a', address: here.path })
    await peer.call('echo', { name: 'a', streams: 1, rounds: 1, sizes: [100_000] })
    const [session] = listener.sessions
    assert.equal(session!.sealed, false)
    assert.equal(session!.hold(100_000), undefined)
  }
)

hazard(
  'H4: what ends a Go process is never sent: it lives through bodies, ends and a restart of ours',
  async (here, peer) => {
    await serveForeign(here, peer, { address: here.path, kind: 'echo' })
    const session = await sessionTo(here, here.path, { memory: '1MiB' })
    const stream = session.openStream()
    // More than the memory holds at once, and less than the prefix of a message by the socket.
    for (const bytes of [0, 1, 3, 4, 8_000_000, 0, 1, 3, 4]) {
      const body = pattern(bytes)
      assert.ok(body.equals(await exchange(stream, body)), `${bytes} bytes`)
    }
    stream.end()
    stream.destroy()
    await session.leave()
    await settled([session])
    assert.ok(peer.running)
  }
)

hazard(
  'H5: memory of shmipc-go passes every check, also shared by sessions',
  async (here, peer) => {
    // What does not pass is in native/test/hostile_*.
    const listener = await echoServer(here)
    await peer.call('dial', { name: 'a', address: here.path, sessions: 4 })
    await peer.call('echo', { name: 'a', streams: 128, rounds: 4, sizes: [1, 8173, 30_000] })
    assert.equal(listener.sessions.size, 4)
    await settled(listener.sessions)
  }
)

hazard('H6: no message is empty, and empty slices of shmipc-go are freed', async (here, peer) => {
  await serveForeign(here, peer, { address: here.path, kind: 'echo' })
  const session = await sessionTo(here, here.path)
  const stream = session.openStream()
  for (let i = 0; i < 10; i++) {
    stream.write(Buffer.alloc(0))
    stream.write('')
    assert.equal(String(await exchange(stream, Buffer.from(`message ${i}`))), `message ${i}`)
  }
  const { eventsSent } = session.statistics()
  assert.equal(eventsSent, 10)
  stream.destroy()
  await settled([session])

  // Reuse of what was read makes them.
  const listener = await echoServer(here, { path: `${here.path}2` })
  await peer.call('dial', { name: 'a', address: `${here.path}2` })
  assert.equal(await peer.call('pooled', { name: 'a' }), 1)
  await settled(listener.sessions)
})

hazard('H14: streams nobody reads do not starve those that are read', async (here, peer) => {
  const listener = await echoServer(here)
  listener.removeAllListeners('stream')
  let paused = 0
  listener.on('stream', (stream) => {
    stream.on('error', () => undefined)
    if (paused++ < 8) stream.pause()
    else stream.pipe(stream)
  })
  await peer.call('dial', { name: 'a', address: here.path, memory: 4 << 20 })
  for (let i = 0; i < 8; i++) {
    void peer
      .call('pull', { name: 'a', line: `${i} ${'x'.repeat(500_000)}` })
      .catch(() => undefined)
  }
  await eventually('they are there', () => paused === 8)
  const args = { name: 'a', streams: 4, rounds: 20, sizes: [10_000, 100_000] }
  await peer.call('echo', args)
  const statistics = await peer.call<{ fallbackWrites: number }>('statistics', { name: 'a' })
  assert.equal(statistics.fallbackWrites, 0)
})

hazard('H18: both ends lay the rings out as their processor asks', async (here, peer) => {
  // Nothing on the wire says which: what crosses a ring that wraps around tells.
  const listener = await echoServer(here)
  await peer.call('dial', { name: 'a', address: here.path, queue: 64 })
  await peer.call('echo', { name: 'a', streams: 4, rounds: 500, sizes: [16] })
  await settled(listener.sessions)
})

hazard(
  'H19: a client killed with memory in files leaves the next one alone',
  async (here, peer, t) => {
    const listener = await echoServer(here)
    await peer.call('dial', { name: 'a', address: here.path, files: true })
    await peer.call('echo', { name: 'a', streams: 1, rounds: 1, sizes: [10] })
    await peer.end('SIGKILL')
    here.defer(() => {
      for (const name of readdirSync('/dev/shm')) {
        if (name.includes(`_${peer.pid}_`)) unlinkSync(`/dev/shm/${name}`)
      }
    })
    await eventually('its session is gone', () => listener.sessions.size === 0)
    const next = await startForeign(t, here, 'go-peer')
    await next!.call('dial', { name: 'a', address: here.path, files: true })
    await next!.call('echo', { name: 'a', streams: 1, rounds: 1, sizes: [10] })
    await next!.call('hangUp', { name: 'a' })
  }
)
