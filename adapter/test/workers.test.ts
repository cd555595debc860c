/** Apps in worker threads: each has its own sessions, and none outlives its thread. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { join } from 'node:path'
import { test } from 'node:test'
import { Agent } from 'undici'
import { ShmAgent } from '../undici/index.ts'
import type { WorkersMethods } from './fixtures/workers.ts'
import { type Child, startChild } from './support/child.ts'
import { type Scene, scene } from './support/scene.ts'

function startProcess(s: Scene): Promise<Child<WorkersMethods>> {
  return startChild<WorkersMethods>(s, new URL('./fixtures/workers.js', import.meta.url))
}

function agentFor(s: Scene, routes: Record<string, string>): ShmAgent {
  const fallback = new Agent()
  const agent = new ShmAgent({ routes, fallback })
  s.defer(async () => {
    await agent.destroy()
    await fallback.destroy()
  })
  return agent
}

async function ask(agent: ShmAgent, name: string): Promise<string> {
  const { body } = await agent.request({ origin: `http://${name}`, path: '/', method: 'GET' })
  return body.text()
}

test('workers serve side by side, and end in peace', async (t) => {
  const s = await scene(t)
  const workers = await startProcess(s)
  const routes = { one: join(s.directory, 'one.sock'), two: join(s.directory, 'two.sock') }
  await workers.call('baseline')
  await Promise.all(Object.entries(routes).map(([name, path]) => workers.call('start', name, path)))
  const agent = agentFor(s, routes)
  const names = Array.from({ length: 40 }, (_, i) => (i % 2 === 0 ? 'one' : 'two'))
  assert.deepEqual(await Promise.all(names.map((name) => ask(agent, name))), names)
  assert.ok(agent.statistics().links.every(({ transport }) => transport === 'shm'))

  assert.equal(await workers.call('close', 'one'), 0)
  assert.equal(await ask(agent, 'two'), 'two')
  await assert.rejects(ask(agent, 'one'), { code: 'UND_ERR_SOCKET' })
  assert.equal(await workers.call('close', 'two'), 0)
  await workers.call('clean')
})

test('a worker that is terminated under load is gone, and the process lives', async (t) => {
  const s = await scene(t)
  const workers = await startProcess(s)
  const routes = { one: join(s.directory, 'one.sock'), two: join(s.directory, 'two.sock') }
  await workers.call('start', 'two', routes.two)
  const agent = agentFor(s, routes)
  await ask(agent, 'two')
  await workers.call('baseline')
  for (let round = 0; round < 3; round++) {
    // The path of the one before is still there.
    await workers.call('start', 'one', routes.one)
    const downloads = await Promise.all(
      Array.from({ length: 4 }, async () => {
        const { body } = await agent.request({
          origin: 'http://one',
          path: '/flood',
          method: 'GET'
        })
        await once(body, 'data')
        return body
      })
    )
    const failures = downloads.map((body) => assert.rejects(once(body, 'end')))
    await workers.call('terminate', 'one')
    await Promise.all(failures)
    assert.equal(await ask(agent, 'two'), 'two')
    await workers.call('clean')
  }
  await workers.call('start', 'one', routes.one)
  for (const name of ['one', 'two']) assert.equal(await workers.call('close', name), 0)
})
