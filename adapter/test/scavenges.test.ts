/** Large Buffers do not wait for full collections, nor cause many. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { agentFor, startApp } from './app.ts'
import type { ChildOptions } from './support/child.ts'
import { countCollections } from './support/collections.ts'
import { eventually } from './support/eventually.ts'
import { scene } from './support/scene.ts'

const BYTES = 1_000_000

/** `requests` bodies there and back, `lanes` at the same time. */
async function exchange(
  t: Parameters<typeof scene>[0],
  requests: number,
  lanes: number,
  options: ChildOptions
) {
  const s = await scene(t)
  const { app } = await startApp(s, {}, options)
  const agent = agentFor(s)
  await app.call('countCollections')
  const ours = countCollections()
  s.defer(() => ours.stop())
  const body = Buffer.alloc(BYTES, 'x')
  let left = requests
  const lane = async () => {
    while (left-- > 0) {
      const call = { origin: 'http://a', path: '/echo', method: 'POST', body } as const
      const headers = { 'content-type': 'application/octet-stream' }
      const response = await agent.request({ ...call, headers })
      assert.equal((await response.body.arrayBuffer()).byteLength, BYTES)
    }
  }
  await Promise.all(Array.from({ length: lanes }, lane))
  return { app, ours }
}

test('app and client scavenge for every 16 MiB of bodies', async (t) => {
  const { app, ours } = await exchange(t, 80, 1, {})
  await eventually('the client scavenged', () => ours.asked >= 4)
  const asked = async () => (await app.call('collections')).asked
  await eventually('the app scavenged', async () => (await asked()) >= 4)
  assert.ok((await asked()) <= 5)
})

test('SHMESH_SCAVENGE=0 leaves it to V8', async (t) => {
  const { app } = await exchange(t, 80, 1, { env: { SHMESH_SCAVENGE: '0' } })
  assert.equal((await app.call('collections')).asked, 0)
})

test('where full collections come all the same, the heap is given room, ever more rarely', async () => {
  const script = fileURLToPath(new URL('./fixtures/heap-room.js', import.meta.url))
  const run = promisify(execFile)
  const { stdout } = await run(process.execPath, ['--max-semi-space-size=1', script])
  const flags = JSON.parse(stdout) as { flag: string; full: number }[]
  assert.deepEqual(
    flags.splice(0, 2).map(({ flag }) => flag),
    ['--expose-gc', '--no-expose-gc']
  )
  const room = flags.filter((_, i) => i % 2 === 0)
  for (const { flag } of room) assert.match(flag, /^--heap-growing-percent=[1-9]\d{2,}$/)
  // V8 decides alone again, before anything else runs.
  const after = flags.filter((_, i) => i % 2 === 1)
  assert.deepEqual(
    after,
    room.map(({ full }) => ({ flag: '--heap-growing-percent=0', full }))
  )
  assert.ok(room.length >= 3 && room.length <= 6, JSON.stringify(room))
})
