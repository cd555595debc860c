/** undici's WebSocket by a ShmAgent. */
import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import { Agent, WebSocket } from 'undici'
import { ShmAgent, type ShmAgentOptions } from '../undici/index.ts'
import type { WebSocketAppMethods } from './fixtures/websocket-app.ts'
import { startChild } from './support/child.ts'
import { eventually } from './support/eventually.ts'
import { scene } from './support/scene.ts'

const FIXTURE = new URL('./fixtures/websocket-app.js', import.meta.url)

async function setUp(t: TestContext, options: ShmAgentOptions = {}) {
  const s = await scene(t)
  const app = await startChild<WebSocketAppMethods>(s, FIXTURE)
  await app.call('start', { path: s.path })
  s.defer(async () => {
    await app.call('close')
    await app.call('clean')
  })
  const dispatcher = new ShmAgent({ uri: s.path, fallback: new Agent(), ...options })
  s.defer(() => dispatcher.destroy())
  return { app, socket: new WebSocket('ws://app.test/echo', { dispatcher }) }
}

test('a WebSocket carries messages, and both sides hear that it is closed', async (t) => {
  const { app, socket } = await setUp(t)
  await once(socket, 'open')
  socket.send('zwölf €')
  const [{ data }] = (await once(socket, 'message')) as [MessageEvent]
  assert.equal(data, 'zwölf €')
  socket.close(1000, 'done')
  const [{ code, wasClean }] = (await once(socket, 'close')) as [
    { code: number; wasClean: boolean }
  ]
  assert.deepEqual([code, wasClean], [1000, true])
  await eventually('the app has let go', async () => (await app.call('clients')) === 0)
})

test('whoever observes WebSockets is told of it', async (t) => {
  const told: unknown[] = []
  const tell = (message: unknown) => told.push((message as { address: unknown }).address)
  subscribe('undici:websocket:open', tell)
  t.after(() => unsubscribe('undici:websocket:open', tell))
  const { socket } = await setUp(t)
  await once(socket, 'open')
  socket.close()
  await once(socket, 'close')
  assert.deepEqual(told, [{}])
})

test('a message longer than webSocket.maxPayloadSize ends it', async (t) => {
  const { socket } = await setUp(t, { webSocket: { maxPayloadSize: 1000 } })
  await once(socket, 'open')
  const messages: unknown[] = []
  socket.addEventListener('message', ({ data }) => messages.push(data))
  socket.addEventListener('error', () => undefined)
  const closed = once(socket, 'close')
  socket.send('x'.repeat(1000))
  socket.send('x'.repeat(1001))
  await closed
  assert.deepEqual(messages, ['x'.repeat(1000)])
})

test('limits that are none are refused', () => {
  for (const options of [
    { webSocket: null },
    { webSocket: { maxPayloadSize: -1 } },
    { webSocket: { maxFragments: 1.5 } },
    { eventSource: { maxEventSize: '1' } }
  ]) {
    assert.throws(() => new ShmAgent(options as never), { code: 'SHM_ERR_INVALID_ARG' })
  }
})
