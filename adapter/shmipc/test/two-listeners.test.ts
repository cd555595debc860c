/** Servers that want the same path: one has it, and only that one removes it. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, linkSync, readdirSync } from 'node:fs'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { eventually } from '../../test/support/eventually.ts'
import { type Scene, scene } from '../../test/support/scene.ts'
import { connect, listen, type ShmListener } from '../index.ts'
import { type Peer, startPeer } from './peer.ts'

async function startPeers(stage: Scene, count: number): Promise<Peer[]> {
  const peers = await Promise.all(Array.from({ length: count }, () => startPeer(stage)))
  stage.defer(() => Promise.all(peers.map((peer) => peer.call('closeListeners'))))
  return peers
}

/** `ok` or the code of the error. */
function outcome(listening: Promise<unknown>): Promise<string> {
  return listening.then(
    () => 'ok',
    (error) => error.code
  )
}

/** Index of the one who gets a session with whoever connects now. */
async function reachable(peers: readonly Peer[], path: string): Promise<number> {
  const count = async () =>
    (await Promise.all(peers.map((p) => p.call('seen')))).map((s) => s.sessions)
  const before = await count()
  const session = await connect(path)
  session.destroy()
  let winner = -1
  await eventually('a server has the session', async () => {
    winner = (await count()).findIndex((sessions, i) => sessions > before[i]!)
    return winner >= 0
  })
  return winner
}

/** The file of a server that is gone. */
async function leaveStaleFile(path: string): Promise<void> {
  const server = createServer()
  server.listen(`${path}.gone`)
  await once(server, 'listening')
  linkSync(`${path}.gone`, path)
  server.close()
  await once(server, 'close')
}

test('the second of one process is refused, and the first serves on', async (t) => {
  const stage = await scene(t)
  const first = await listen({ path: stage.path })
  stage.defer(() => first.close())
  for (let i = 0; i < 3; i++) {
    await assert.rejects(listen({ path: stage.path }), { code: 'SHM_ERR_ADDRESS_IN_USE' })
  }
  assert.deepEqual(readdirSync(stage.directory), ['app.sock'])
  const accepted = once(first, 'session')
  const session = await connect(stage.path)
  await accepted
  session.destroy()
  await eventually('it has ended', () => first.sessions.size === 0)
})

test('a server that is stopped still has its path', async (t) => {
  const stage = await scene(t)
  const [server] = (await startPeers(stage, 1)) as [Peer]
  await server.call('listen', { path: stage.path })
  await server.stop()
  await assert.rejects(listen({ path: stage.path }), { code: 'SHM_ERR_ADDRESS_IN_USE' })
  server.signal('SIGCONT')
  assert.equal(await reachable([server], stage.path), 0)
})

for (const stale of [false, true]) {
  const what = stale ? 'with the file of a dead server' : 'that is free'
  test(`of processes that start together one gets a path ${what}`, async (t) => {
    const stage = await scene(t)
    const peers = await startPeers(stage, 3)
    for (let round = 0; round < 15; round++) {
      if (stale) await leaveStaleFile(stage.path)
      const path = stage.path
      const outcomes = await Promise.all(
        peers.map((peer) => outcome(peer.call('listen', { path })))
      )
      const expected = ['SHM_ERR_ADDRESS_IN_USE', 'SHM_ERR_ADDRESS_IN_USE', 'ok']
      assert.deepEqual([...outcomes].sort(), expected)
      assert.deepEqual(readdirSync(stage.directory), ['app.sock'])
      const winner = outcomes.indexOf('ok')
      assert.equal(await reachable(peers, path), winner)
      await peers[winner]!.call('closeListeners')
      assert.deepEqual(readdirSync(stage.directory), [])
    }
  })
}

test('of processes that take over together one is reached, and only it removes the path', async (t) => {
  const stage = await scene(t)
  const peers = await startPeers(stage, 3)
  const { path } = stage
  for (let round = 0; round < 5; round++) {
    await Promise.all(peers.map((peer) => peer.call('listen', { path, takeover: true })))
    assert.deepEqual(readdirSync(stage.directory), ['app.sock'])
    const winner = await reachable(peers, path)
    const others = peers.filter((_, i) => i !== winner)
    await Promise.all(others.map((peer) => peer.call('closeListeners')))
    assert.equal(await reachable(peers, path), winner)
    await peers[winner]!.call('closeListeners')
    assert.equal(existsSync(path), false)
  }
})

test('listen() and close() of one process take turns on a path', async (t) => {
  const stage = await scene(t)
  for (let round = 0; round < 10; round++) {
    const starts = await Promise.allSettled(
      Array.from({ length: 4 }, () => listen({ path: stage.path }))
    )
    const listeners = starts.flatMap((start) => (start.status === 'fulfilled' ? [start.value] : []))
    assert.equal(listeners.length, 1)
    await (listeners[0] as ShmListener).close()
    assert.deepEqual(readdirSync(stage.directory), [])
  }
})
