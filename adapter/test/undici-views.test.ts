/** Responses as they lie in shared memory, for handlers that ask for it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ControllerHandler, Lease } from '../undici/index.ts'
import { agentFor, startScripted } from './scripted.ts'
import { eventually } from './support/eventually.ts'
import { scene } from './support/scene.ts'

const BYTES = 600_000
const SCRIPT = {
  '/': { parts: [`HTTP/1.1 200 OK\r\ncontent-length: ${BYTES}\r\n\r\n`], fill: BYTES }
}

test('views are read in place, and their memory returns when they are dropped', async (t) => {
  const s = await scene(t)
  await startScripted(s, SCRIPT)
  const agent = agentFor(s)
  const leases: Lease[] = []
  const views: Buffer[] = []
  let copied = 0
  await new Promise<void>((resolve, reject) => {
    const handler: ControllerHandler = {
      onRequestStart() {},
      onResponseData(_controller, chunk) {
        copied += chunk.length
      },
      onResponseView(_controller, view, lease) {
        views.push(view)
        lease.hold()
        leases.push(lease)
      },
      onResponseEnd: () => resolve(),
      onResponseError: (_controller, error) => reject(error)
    }
    const options = { origin: 'http://app.test', path: '/', method: 'GET' } as const
    agent.dispatch(options, handler as never)
  })
  const bytes = views.reduce((sum, view) => sum + view.length, 0)
  assert.equal(bytes + copied, BYTES)
  assert.ok(views.every((view) => view.every((byte) => byte === 0x78)))
  const session = () => agent.statistics().links[0]?.session
  assert.equal(session()?.leases, leases.length)
  for (const lease of leases) lease.drop()
  assert.equal(session()?.leases, 0)
})

test('over a socket, and while it is paused, the same handler gets copies', async (t) => {
  process.env['SHMESH_DISABLE'] = '1'
  t.after(() => delete process.env['SHMESH_DISABLE'])
  const s = await scene(t)
  await startScripted(s, SCRIPT)
  const agent = agentFor(s)
  let copied = 0
  let done = false
  const handler: ControllerHandler = {
    onRequestStart() {},
    onResponseStart(controller) {
      controller.pause()
      setImmediate(() => controller.resume())
    },
    onResponseData(_controller, chunk) {
      copied += chunk.length
    },
    onResponseView() {
      assert.fail('no view')
    },
    onResponseEnd() {
      done = true
    }
  }
  const options = { origin: 'http://app.test', path: '/', method: 'GET' } as const
  agent.dispatch(options, handler as never)
  await eventually('the response has ended', () => done)
  assert.equal(copied, BYTES)
})

test('views that are never dropped do not stop the next request of their connection', async (t) => {
  const s = await scene(t)
  await startScripted(s, SCRIPT)
  const agent = agentFor(s)
  const leases: Lease[] = []
  for (let requests = 0; requests < 4; requests++) {
    await new Promise<void>((resolve, reject) => {
      const handler: ControllerHandler = {
        onRequestStart() {},
        onResponseView(_controller, _view, lease) {
          lease.hold()
          leases.push(lease)
        },
        onResponseEnd: () => resolve(),
        onResponseError: (_controller, error) => reject(error)
      }
      const options = { origin: 'http://app.test', path: '/', method: 'GET' } as const
      agent.dispatch(options, handler as never)
    })
  }
  // More than a window is held, of one stream.
  const held = leases.reduce((sum, lease) => sum + (lease as unknown as { bytes: number }).bytes, 0)
  assert.ok(held > 2 * 1024 * 1024, `${held} bytes`)
  for (const lease of leases) lease.drop()
  assert.equal(agent.statistics().links[0]?.session?.leases, 0)
})
