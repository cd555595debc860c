/** Processes that a peer starts hold nothing of its sessions: they would keep them alive. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import process from 'node:process'
import { test } from 'node:test'
import { scene } from '../../test/support/scene.ts'
import { connect, listen } from '../index.ts'
import { flood, serveStream } from './fixtures/serve-stream.ts'
import { SESSION_FD } from './fixtures/spawn.ts'
import { closing, command, startPeer } from './peer.ts'

test('a process started by a server under load holds nothing of it, and outlives it alone', async (t) => {
  const stage = await scene(t)
  const server = await startPeer(stage)
  await server.call('listen', { path: stage.path })
  const session = await connect(stage.path)
  const reason = once(session, 'close')
  const streams = Array.from({ length: 4 }, () => command(session, 'flood'))
  const endings = streams.map(closing)
  streams.forEach(flood)
  await Promise.all(streams.map((stream) => once(stream, 'data')))
  const idler = await server.call('spawnIdler')
  try {
    // Standard streams apart.
    const inherited = readdirSync(`/proc/${idler}/fd`).filter((fd) => Number(fd) > 2)
    const targets = inherited.map((fd) => readlinkSync(`/proc/${idler}/fd/${fd}`))
    assert.deepEqual(
      targets.filter((target) => SESSION_FD.test(target)),
      []
    )
    assert.doesNotMatch(readFileSync(`/proc/${idler}/maps`, 'latin1'), /memfd/)

    server.signal('SIGKILL')
    for (const error of await Promise.all(endings)) assert.equal(error?.code, 'ECONNRESET')
    await reason
    process.kill(idler, 0)
  } finally {
    process.kill(idler, 'SIGKILL')
  }
  await server.ended()
  await (await listen({ path: stage.path })).close()
})

test('processes started while a server shakes hands are born without its descriptors', async (t) => {
  const stage = await scene(t)
  const server = await startPeer(stage)
  await server.call('listen', { path: stage.path })
  stage.defer(() => server.call('closeListeners'))
  let over = false
  const spawned = server.call('spawnMany', 12).finally(() => {
    over = true
  })
  let made = 0
  while (!over) {
    // A busy machine may not get all of them done in a second each. Small ones, which leave the
    // server time to start its processes.
    const attempts = Array.from({ length: 2 }, () => connect(stage.path, { memory: '1MiB' }))
    for (const attempt of await Promise.allSettled(attempts)) {
      if (attempt.status === 'rejected') continue
      made++
      attempt.value.destroy()
    }
  }
  assert.deepEqual(await spawned, [])
  assert.ok(made > 0)
})

test('processes started while a client shakes hands are born without its descriptors', async (t) => {
  const stage = await scene(t)
  const listener = await listen({ path: stage.path })
  listener.on('stream', (stream) => serveStream(stream, () => undefined))
  stage.defer(() => listener.close())
  const client = await startPeer(stage)
  let over = false
  const spawned = client.call('spawnMany', 12).finally(() => {
    over = true
  })
  let made = 0
  listener.on('session', () => made++)
  while (!over) {
    await Promise.allSettled(Array.from({ length: 4 }, () => client.call('connect', stage.path)))
    await client.call('destroySessions')
  }
  assert.deepEqual(await spawned, [])
  assert.ok(made > 0)
})
