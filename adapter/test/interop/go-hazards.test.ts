/** What goes wrong between careless ends, one test a hazard: docs/reference/interop.md lists them. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, unlinkSync } from 'node:fs'
import { createServer } from 'node:net'
import { type TestContext, test } from 'node:test'
import { connect } from '../../shmipc/index.ts'
import { eventually } from '../support/eventually.ts'
import { pattern } from '../support/pattern.ts'
import { type Scene, scene } from '../support/scene.ts'
import { app, echoServer, exchange, sessionTo, settled } from './ends.ts'
import { type Answered, type Echoed, type ForeignPeer, serveGo, startForeign } from './peer.ts'

/** A test with a Go peer, where there is one. */
function hazard(title: string, run: (here: Scene, peer: ForeignPeer, t: TestContext) => unknown) {
  test(title, async (t) => {
    const here = await scene(t)
    const peer = await startForeign(t, here, 'go-peer')
    if (peer !== undefined) await run(here, peer, t)
  })
}

function block(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}

/** The pull of `line` reads on; it may not have begun. */
async function resumed(peer: ForeignPeer, line: string): Promise<void> {
  await eventually('it waits', () =>
    peer.call('resume', { line }).then(
      () => true,
      () => false
    )
  )
}

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
  await serveGo(here, peer, { address: here.path, kind: 'echo' })
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
  await serveGo(here, peer, { address: here.path, kind: 'echo' })
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
    await serveGo(here, peer, { address: here.path, kind: 'echo' })
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
  await serveGo(here, peer, { address: here.path, kind: 'echo' })
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
  for (let round = 0; round < 5; round++) {
    await peer.call('dial', { name: 'a', address: here.path })
    const pulled = peer.call<{ bytes: number }>('pull', { name: 'a', line: `pull ${round}` })
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
