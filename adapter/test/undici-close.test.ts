/** How an agent ends, and lets its process end. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type Dispatcher, errors } from 'undici'
import type { ShmAgent } from '../undici/index.ts'
import { agentFor, startApp } from './app.ts'
import { scene } from './support/scene.ts'

const ORIGIN = 'http://app.local'

function get(agent: Dispatcher, path: string): Promise<Dispatcher.ResponseData> {
  return agent.request({ origin: ORIGIN, path, method: 'GET' })
}

test('close and destroy in all their forms', async (t) => {
  const s = await scene(t)
  await startApp(s)
  const ways: [name: string, end: (agent: ShmAgent) => Promise<unknown>][] = [
    ['close()', (agent) => agent.close()],
    ['close(callback)', (agent) => new Promise<void>((resolve) => agent.close(resolve))],
    ['destroy()', (agent) => agent.destroy()],
    ['destroy(error)', (agent) => agent.destroy(new Error('mine'))],
    ['destroy(null)', (agent) => agent.destroy(null)],
    ['destroy(callback)', (agent) => new Promise<void>((resolve) => agent.destroy(resolve))],
    [
      'destroy(error, callback)',
      (agent) => new Promise<void>((resolve) => agent.destroy(new Error('mine'), resolve))
    ]
  ]
  for (const [name, end] of ways) {
    const agent = agentFor(s)
    const { body } = await get(agent, '/hello/x')
    await body.dump()
    const pending = name.startsWith('destroy') ? get(agent, '/never') : undefined
    const failure = pending?.then(
      () => undefined,
      (error: Error) => error.message
    )
    await end(agent)
    if (name.includes('error')) assert.equal(await failure, 'mine', name)
    await failure
    // As undici's own: destroying once more changes nothing, closing once more is an error.
    await agent.destroy()
    await agent.destroy(new Error('late'))
    const code = 'UND_ERR_DESTROYED'
    await assert.rejects(agent.close(), { code }, name)
    await assert.rejects(get(agent, '/hello/x'), { code }, name)
    // As undici's own do, to the handler when it can be told.
    let told: Error | undefined
    const handler = { onConnect() {}, onError: (error: Error) => (told = error) }
    const more = agent.dispatch({ origin: ORIGIN, path: '/', method: 'GET' }, handler as never)
    assert.equal(more, false)
    assert.ok(told instanceof errors.UndiciError)
  }
})

test('close while it is closing waits for the same end, and takes nothing new', async (t) => {
  const s = await scene(t)
  await startApp(s)
  const agent = agentFor(s)
  const pending = get(agent, '/hello/x').then(({ body }) => body.text())
  const order: string[] = []
  const first = agent.close().then(() => order.push('first'))
  const second = agent.close().then(() => order.push('second'))
  await assert.rejects(get(agent, '/hello/x'), { code: 'UND_ERR_CLOSED' })
  assert.deepEqual([agent.closed, agent.destroyed], [true, false])
  assert.match(await pending, /hello/)
  await Promise.all([first, second])
  assert.deepEqual(order, ['first', 'second'])
  assert.equal(agent.destroyed, true)
  const none = undefined as never
  assert.throws(() => agent.close('now' as never), { code: 'UND_ERR_INVALID_ARG' })
  assert.throws(() => agent.destroy(none, 'now' as never), { code: 'UND_ERR_INVALID_ARG' })
})

test('a script that makes a request ends when it has its answer', async (t) => {
  const s = await scene(t)
  await startApp(s)
  const script = fileURLToPath(new URL('./fixtures/one-request.js', import.meta.url))
  const child = spawn(process.execPath, [script, s.path], { stdio: ['ignore', 'pipe', 'inherit'] })
  const exit = once(child, 'exit')
  assert.match(await text(child.stdout), /"hello":"script"/)
  assert.deepEqual(await exit, [0, null])
})
