/** Each attack of support/attacks.ts against a server behind shared memory. */
import { test } from 'node:test'
import { sessionFor } from './app.ts'
import type { AnsweringMethods } from './fixtures/answering-server.ts'
import { play } from './support/attack.ts'
import { ATTACKS } from './support/attacks.ts'
import { startChild } from './support/child.ts'
import { type Scene, scene } from './support/scene.ts'

const FIXTURE = new URL('./fixtures/answering-server.js', import.meta.url)

async function startServer(s: Scene): Promise<void> {
  const server = await startChild<AnsweringMethods>(s, FIXTURE)
  await server.call('start', s.path)
  s.defer(async () => {
    await server.call('close')
    await server.call('clean')
  })
}

test('a server reads no request through shared memory as two', async (t) => {
  const s = await scene(t)
  await startServer(s)
  const session = await sessionFor(s)
  for (const attack of ATTACKS) {
    await t.test(attack.name, () => play(attack, () => session.openStream()))
  }
})
