/** Sessions of worker threads, which end with their thread and take nothing else with them. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import { type Child, startChild } from '../../test/support/child.ts'
import { eventually } from '../../test/support/eventually.ts'
import { type Scene, scene } from '../../test/support/scene.ts'
import { connect, listen, type ShmListener } from '../index.ts'
import { flood, serveStream } from './fixtures/serve-stream.ts'
import type { WorkersMethods } from './fixtures/workers.ts'
import { closing, command, readAll } from './peer.ts'

type Workers = Child<WorkersMethods>

/** A process whose workers have come and gone once: what is opened once is open. */
async function startWorkers(t: TestContext): Promise<[stage: Scene, workers: Workers]> {
  const stage = await scene(t)
  const workers = await startChild<WorkersMethods>(
    stage,
    new URL('./fixtures/workers.js', import.meta.url)
  )
  const id = await workers.call('start', 'serve', stage.path)
  assert.equal(await workers.call('close', id), 0)
  await workers.call('baseline')
  return [stage, workers]
}

async function serve(stage: Scene): Promise<ShmListener> {
  const listener = await listen({ path: stage.path })
  listener.on('stream', (stream) => serveStream(stream, () => undefined))
  stage.defer(() => listener.close())
  return listener
}

async function assertServes(path: string): Promise<void> {
  const session = await connect(path)
  const stream = command(session, 'echo')
  const answer = readAll(stream)
  stream.end('served')
  assert.equal((await answer).toString(), 'served')
  await session.close()
}

test('a server that is terminated under load is gone, and its neighbour serves on', async (t) => {
  const [stage, workers] = await startWorkers(t)
  const neighbour = `${stage.path}.neighbour`
  const other = await workers.call('start', 'serve', neighbour)
  // A loop keeps a descriptor from its first socket on.
  await assertServes(neighbour)
  await workers.call('baseline')
  for (let round = 0; round < 3; round++) {
    const id = await workers.call('start', 'serve', stage.path)
    const session = await connect(stage.path)
    const closed = once(session, 'close')
    const streams = Array.from({ length: 4 }, () => command(session, 'flood'))
    const endings = streams.map(closing)
    streams.forEach(flood)
    await Promise.all(streams.map((stream) => once(stream, 'data')))
    await workers.call('terminate', id)

    for (const error of await Promise.all(endings)) assert.equal(error?.code, 'ECONNRESET')
    await closed
    await assertServes(neighbour)
    await workers.call('clean')
  }
  assert.equal(await workers.call('close', other), 0)
  // Replaces the file the last one could not remove.
  assert.equal(await workers.call('close', await workers.call('start', 'serve', stage.path)), 0)
})

test('a client that is terminated under load is gone for its server too', async (t) => {
  const [stage, workers] = await startWorkers(t)
  const listener = await serve(stage)
  for (let round = 0; round < 3; round++) {
    const ids = await Promise.all([1, 2].map(() => workers.call('start', 'flood', stage.path)))
    assert.equal(listener.sessions.size, 2)
    await workers.call('terminate', ids[0]!)
    await eventually('one session is left', () => listener.sessions.size === 1)
    assert.equal(await workers.call('close', ids[1]!), 0)
    await eventually('no session is left', () => listener.sessions.size === 0)
    await workers.call('clean')
  }
})

for (const first of ['the server', 'the client'] as const) {
  test(`both ends in threads of one process: ${first} is terminated first`, async (t) => {
    const [stage, workers] = await startWorkers(t)
    for (let round = 0; round < 2; round++) {
      const server = await workers.call('start', 'serve', stage.path)
      const client = await workers.call('start', 'flood', stage.path)
      const [one, other] = first === 'the server' ? [server, client] : [client, server]
      await workers.call('terminate', one)
      if (first === 'the client') await assertServes(stage.path)
      assert.equal(await workers.call('close', other), 0)
      await workers.call('clean')
    }
    // Ends with the file of a server that could not remove it.
    await (await listen({ path: stage.path })).close()
  })
}

test('threads that are terminated while they shake hands leave nothing', async (t) => {
  const [stage, workers] = await startWorkers(t)
  const listener = await serve(stage)
  for (let round = 0; round < 8; round++) {
    const id = await workers.call('start', 'hurry', stage.path)
    if (round % 2 === 1) await once(listener, 'session')
    await workers.call('terminate', id)
    await assertServes(stage.path)
  }
  await workers.call('clean')
  await eventually('no session is left', () => listener.sessions.size === 0)
})
