/** Large Buffers do not wait for a full collection. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { agentFor, startApp } from './app.ts'
import { eventually } from './support/eventually.ts'
import { countScavenges } from './support/scavenges.ts'
import { scene } from './support/scene.ts'

const ROUNDS = 80
const BYTES = 1_000_000

async function exchange(env: Record<string, string>, t: Parameters<typeof scene>[0]) {
  const s = await scene(t)
  const { app } = await startApp(s, {}, { env })
  const agent = agentFor(s)
  await app.call('countScavenges')
  const ours = countScavenges()
  s.defer(() => ours.stop())
  const body = Buffer.alloc(BYTES, 'x')
  for (let round = 0; round < ROUNDS; round++) {
    const options = { origin: 'http://a', path: '/echo', method: 'POST', body } as const
    const headers = { 'content-type': 'application/octet-stream' }
    const response = await agent.request({ ...options, headers })
    assert.equal((await response.body.arrayBuffer()).byteLength, BYTES)
  }
  return { app, ours }
}

test('app and client scavenge for every 16 MiB of bodies', async (t) => {
  const { app, ours } = await exchange({}, t)
  await eventually('the client scavenged', () => ours.count >= 4)
  await eventually('the app scavenged', async () => (await app.call('scavenges')) >= 4)
  assert.ok((await app.call('scavenges')) <= 5)
})

test('SHMESH_SCAVENGE=0 leaves it to V8', async (t) => {
  const { app } = await exchange({ SHMESH_SCAVENGE: '0' }, t)
  assert.equal(await app.call('scavenges'), 0)
})
