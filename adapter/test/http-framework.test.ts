/** Frameworks that put prototypes of their own under the objects they are given, as Express does. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Dispatcher, getGlobalDispatcher } from 'undici'
import { agentFor } from './app.ts'
import type { FrameworkMethods } from './fixtures/framework.ts'
import { startChild } from './support/child.ts'
import { scene } from './support/scene.ts'

const FIXTURE = new URL('./fixtures/framework.js', import.meta.url)
const TEXT = { 'content-type': 'text/plain' }
const LARGE = 'é'.repeat(400_000)

async function answer(dispatcher: Dispatcher, origin: string, path: string, body?: string) {
  const hints: number[] = []
  const response = await dispatcher.request({
    origin,
    path,
    method: body === undefined ? 'GET' : 'POST',
    headers: { connection: 'close', ...(body !== undefined && TEXT) },
    ...(body !== undefined && { body }),
    onInfo: ({ statusCode }) => hints.push(statusCode)
  })
  const { statusCode, headers } = response
  return [statusCode, headers['x-a'], headers['content-length'], hints, await response.body.text()]
}

test('requests and responses with prototypes of a framework are what they are over TCP', async (t) => {
  const s = await scene(t)
  const server = await startChild<FrameworkMethods>(s, FIXTURE)
  const port = await server.call('start', s.path)
  const agent = agentFor(s) as unknown as Dispatcher
  for (const [path, body] of [
    ['/at-once'],
    ['/later'],
    ['/pieces'],
    ['/large'],
    ['/echo', 'over and back'],
    ['/echo', LARGE],
    ['/count', LARGE],
    ['/unread', LARGE],
    ['/hints']
  ] as const) {
    const overTcp = await answer(getGlobalDispatcher(), `http://127.0.0.1:${port}`, path, body)
    assert.deepEqual(await answer(agent, 'http://app.test', path, body), overTcp, path)
  }

  const abort = new AbortController()
  const pending = agent.request({
    origin: 'http://app.test',
    path: '/wait',
    method: 'GET',
    signal: abort.signal
  })
  const failed = assert.rejects(pending, { name: 'AbortError' })
  setImmediate(() => abort.abort())
  await failed
  await server.call('close')
})
