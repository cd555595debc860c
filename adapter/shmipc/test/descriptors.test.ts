/** Processes that run out of file descriptors, at every step that needs one. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import { eventually } from '../../test/support/eventually.ts'
import { cpuTicks, heldBy } from '../../test/support/resources.ts'
import { type Scene, scene } from '../../test/support/scene.ts'
import { connect, Link, listen, type ShmListener } from '../index.ts'
import { serveStream } from './fixtures/serve-stream.ts'
import { command, type Peer, readAll, startPeer } from './peer.ts'

/** Enough for Node itself and a handful of sessions. */
const MAX_FDS = 100
/** A socket, two memories and two eventfds, at either end. */
const FDS_OF_A_SESSION = 5

async function shortServer(t: TestContext): Promise<[stage: Scene, server: Peer]> {
  const stage = await scene(t)
  const server = await startPeer(stage, { maxFds: MAX_FDS })
  await server.call('listen', { path: stage.path })
  await server.call('baseline')
  stage.defer(() => server.call('closeListeners'))
  return [stage, server]
}

async function serve(stage: Scene): Promise<ShmListener> {
  const listener = await listen({ path: stage.path })
  listener.on('stream', (stream) => serveStream(stream, () => undefined))
  stage.defer(() => listener.close())
  return listener
}

async function assertEchoes(path: string): Promise<void> {
  const session = await connect(path)
  const stream = command(session, 'echo')
  const answer = readAll(stream)
  stream.end('all is well')
  assert.equal((await answer).toString(), 'all is well')
  await session.close()
}

function holdsAgain(pid: number, before: Readonly<Record<string, number>>): Promise<void> {
  return eventually(
    () => `${JSON.stringify(heldBy(pid))} is ${JSON.stringify(before)}`,
    () => isDeepStrictEqual(heldBy(pid), before)
  )
}

test('a server that cannot take a session says which descriptor it lacks, and recovers', async (t) => {
  const [stage, server] = await shortServer(t)
  for (const [free, reason] of [
    [1, /no file descriptor is free for what the peer hands over/],
    [2, /no file descriptor is free for what the peer hands over/],
    [3, /eventfd: Too many open files/],
    [4, /eventfd: Too many open files/]
  ] as const) {
    await server.call('hoard', free)
    const before = heldBy(server.pid)
    await assert.rejects(connect(stage.path), {
      code: 'SHM_ERR_HANDSHAKE',
      message: /the peer closed the socket/
    })
    await eventually(`a server with ${free} descriptors says why`, async () => {
      const { refused } = await server.call('seen')
      return refused.length === free
    })
    assert.match((await server.call('seen')).refused[free - 1]!, reason)
    await holdsAgain(server.pid, before)
  }
  await server.call('hoard', FDS_OF_A_SESSION)
  await assertEchoes(stage.path)
  await server.call('dropHoard')
  await assertEchoes(stage.path)
})

test('a server that cannot accept waits without turning, and recovers', async (t) => {
  const [stage, server] = await shortServer(t)
  await server.call('hoard', 0)
  const before = cpuTicks(server.pid)
  // The kernel has connected it: it waits its whole second.
  await assert.rejects(connect(stage.path), { code: 'SHM_ERR_HANDSHAKE', message: /in time/ })
  const used = cpuTicks(server.pid) - before
  assert.ok(used < 30, `${used} hundredths of a second of CPU went by`)
  await server.call('dropHoard')
  await assertEchoes(stage.path)
})

test('a client that lacks descriptors says so, and recovers', async (t) => {
  const stage = await scene(t)
  await serve(stage)
  const client = await startPeer(stage, { maxFds: MAX_FDS })
  await client.call('connect', stage.path)
  await client.call('destroySessions')
  await eventually(
    'its session is gone',
    async () => (await client.call('seen')).closeErrors.length === 1
  )
  for (const [free, error] of [
    [0, { code: 'EMFILE', message: `connect EMFILE ${stage.path}` }],
    [1, { code: 'SHM_ERR_HANDSHAKE', message: /memfd_create: Too many open files/ }],
    [2, { code: 'SHM_ERR_HANDSHAKE', message: /memfd_create: Too many open files/ }],
    [3, { code: 'SHM_ERR_HANDSHAKE', message: /no file descriptor is free/ }],
    [4, { code: 'SHM_ERR_HANDSHAKE', message: /no file descriptor is free/ }]
  ] as const) {
    await client.call('hoard', free)
    const before = heldBy(client.pid)
    await assert.rejects(client.call('connect', stage.path), error)
    await holdsAgain(client.pid, before)
  }
  await client.call('hoard', FDS_OF_A_SESSION)
  await client.call('connect', stage.path)
  await client.call('destroySessions')
  await client.call('dropHoard')
  await client.call('connect', stage.path)
  assert.equal((await client.call('statistics')).length, 1)
})

test('the first use of shared memory without descriptors is not the last', async (t) => {
  const stage = await scene(t)
  await serve(stage)
  const peer = await startPeer(stage, { maxFds: MAX_FDS })
  const own = `${stage.path}.own`
  for (const free of [0, 1]) {
    await peer.call('hoard', free)
    const before = heldBy(peer.pid)
    await assert.rejects(peer.call('connect', stage.path), {
      code: free === 0 ? 'SHM_ERR_UNAVAILABLE' : 'EMFILE'
    })
    await assert.rejects(peer.call('listen', { path: own }), { code: 'SHM_ERR_ADDRESS' })
    // The thread of the handshakes, once there is one, keeps its eventfd.
    if (free === 0) await holdsAgain(peer.pid, before)
  }
  await peer.call('dropHoard')
  await peer.call('connect', stage.path)
  assert.equal(await peer.call('listen', { path: own }), 'shm')
  await assertEchoes(own)
  await peer.call('closeListeners')
})

test('a link falls back where a server has a descriptor for a socket, and returns', async (t) => {
  const [stage, server] = await shortServer(t)
  await server.call('hoard', 3)
  const link = new Link(stage.path)
  stage.defer(() => link.destroy())
  const ask = async () => {
    const { stream, transport } = await link.connect()
    const answer = readAll(stream)
    stream.end('echo\nstill served')
    assert.equal((await answer).toString(), 'still served')
    return transport
  }
  assert.equal(await ask(), 'socket')
  assert.match(link.statistics().reason ?? '', /no session with/)
  await server.call('dropHoard')
  await eventually('shared memory is used again', async () => (await ask()) === 'shm')
})
