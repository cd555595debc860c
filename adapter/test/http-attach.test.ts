/** `attach`: any node:http server through shared memory. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { attach } from '../http/index.ts'
import { agentFor, plainGet } from './app.ts'
import type { ServerMethods } from './fixtures/http-server.ts'
import { type Child, startChild } from './support/child.ts'
import { eventually } from './support/eventually.ts'
import { type Scene, scene } from './support/scene.ts'

const FIXTURE = new URL('./fixtures/http-server.js', import.meta.url)

function start(s: Scene): Promise<Child<ServerMethods>> {
  return startChild<ServerMethods>(s, FIXTURE)
}

async function get(s: Scene, path: string): Promise<{ text: string; transport: unknown }> {
  const agent = agentFor(s)
  const { headers, body } = await agent.request({ origin: 'http://a', path, method: 'GET' })
  return { text: await body.text(), transport: headers['x-transport'] }
}

test('a server that listens nowhere is served through shared memory', async (t) => {
  const s = await scene(t)
  const server = await start(s)
  assert.deepEqual(await server.call('start', { path: s.path }, false), { transport: 'shm' })
  assert.deepEqual(await get(s, '/x'), { text: 'hello /x', transport: 'ShmStream' })
  assert.equal((await plainGet(s.path, '/y')).body, 'hello /y')
  await server.call('closeAttachment')
  assert.equal(existsSync(s.path), false)
  await server.call('clean')
})

test("the server's close ends both, after what is under way", async (t) => {
  const s = await scene(t)
  const server = await start(s)
  const { port } = await server.call('start', { path: s.path }, true)
  assert.equal(await (await fetch(`http://127.0.0.1:${port}/tcp`)).text(), 'hello /tcp')
  const pending = get(s, '/wait')
  await server.call('waiting')
  const closed = server.call('closeServer')
  await eventually('the path is gone', () => !existsSync(s.path))
  await server.call('release')
  assert.equal((await pending).text, 'released')
  assert.equal(await closed, undefined)
  await server.call('clean')
})

test('connections are counted, and closed with the others', async (t) => {
  const s = await scene(t)
  const server = await start(s)
  await server.call('start', { path: s.path }, false)
  assert.equal(await server.call('count'), 0)
  await get(s, '/x')
  assert.equal(await server.call('count'), 1)
  const pending = get(s, '/wait')
  await server.call('waiting')
  assert.equal(await server.call('count'), 2)
  await server.call('closeIdle')
  await eventually('the idle one is gone', async () => (await server.call('count')) === 1)
  const failed = assert.rejects(pending)
  await server.call('closeAll')
  await failed
  await eventually('none is left', async () => (await server.call('count')) === 0)
  await server.call('closeAttachment')
  await server.call('clean')
})

test('a socket has the timeout a listener gives it', async (t) => {
  const s = await scene(t)
  const server = await start(s)
  await server.call('start', { path: s.path }, false)
  await assert.rejects(get(s, '/quiet'), { code: 'UND_ERR_SOCKET' })
  assert.equal(await server.call('quiet'), 1)
  await server.call('closeAttachment')
  await server.call('clean')
})

for (const remoteAddress of [undefined, '127.0.0.1', 'fd00::7']) {
  test(`the address of clients, when ${remoteAddress} is chosen`, async (t) => {
    const s = await scene(t)
    const server = await start(s)
    const chosen = remoteAddress === undefined ? {} : { remoteAddress }
    await server.call('start', { path: s.path, ...chosen }, false)
    assert.equal((await get(s, '/address')).text, String(remoteAddress))
    assert.equal((await plainGet(s.path, '/address')).body, String(remoteAddress))
    await server.call('closeAttachment')
    await server.call('clean')
  })
}

test('its sessions are woken as the options say', async (t) => {
  const s = await scene(t)
  const server = createServer((_request, response) => response.end('ok'))
  const { statistics, close } = await attach(server, { path: s.path, wakeUp: '5ms' })
  assert.equal((await get(s, '/')).text, 'ok')
  // Awake for ever, as far as the client can see.
  assert.equal(statistics()[0]!.awake, true)
  await close()
})

test('what cannot be served leaves the server as it was', async (t) => {
  const s = await scene(t)
  const server = createServer()
  const { close } = server
  await assert.rejects(attach(server, { path: `${s.directory}/missing/a.sock` }), {
    code: 'SHM_ERR_ADDRESS'
  })
  await assert.rejects(attach(server, { pth: '/x' } as never), {
    code: 'SHM_ERR_INVALID_ARG',
    message: /attach .*pth/
  })
  await assert.rejects(attach(server, { remoteAddress: 'localhost' }), {
    code: 'SHM_ERR_INVALID_ARG',
    message: /remoteAddress .*IP address/
  })
  for (const [options, message] of [
    [null as never, /^attach must be given an options object/],
    [{ wakeUp: 'never' }, /^wakeUp must be/],
    [{ leakWarning: '0s' }, /^leakWarning must be/],
    [{ cpus: [] }, /^cpus must be/]
  ] as const) {
    await assert.rejects(attach(server, options), { code: 'SHM_ERR_INVALID_ARG', message })
  }
  assert.equal(server.close, close)
})

test('require() gives it too', () => {
  const { attach: required } = createRequire(import.meta.url)('../http/index.js')
  assert.equal(required, attach)
})
