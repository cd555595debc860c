/** Upgrade and CONNECT: the handler gets the stream itself, whatever carried it. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { type Dispatcher, upgrade } from 'undici'
import type { Answer } from './fixtures/scripted-server.ts'
import { agentFor, startScripted, transcribe } from './scripted.ts'
import { eventually } from './support/eventually.ts'
import { pattern } from './support/pattern.ts'
import { scene } from './support/scene.ts'

const ORIGIN = 'http://app.test'
const SWITCHED = 'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n'
const SCRIPT: Readonly<Record<string, Answer>> = {
  '/': { parts: ['HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'] },
  '/switch': { parts: [`${SWITCHED}greeting`] },
  '/brief': { parts: [`${SWITCHED}farewell`], finally: 'end' },
  '/gone': { parts: [SWITCHED], finally: 'destroy' },
  '/other': { parts: [SWITCHED.replace('echo', 'other')] },
  '/refuse': { parts: ['HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno'] },
  'far.test:443': { parts: ['HTTP/1.1 200 Connected\r\n\r\n'] },
  'closed.test:443': { parts: ['HTTP/1.1 502 Bad\r\ncontent-length: 2\r\n\r\nno'] }
}

async function setUp(t: TestContext) {
  const s = await scene(t)
  const { server } = await startScripted(s, SCRIPT)
  return { server, agent: agentFor(s) }
}

function upgradeTo(agent: Dispatcher, path: string): Promise<Dispatcher.UpgradeData> {
  return upgrade(`${ORIGIN}${path}`, { dispatcher: agent, protocol: 'echo' })
}

/** Resolves with what has come when it is `bytes` or more. */
function read(socket: Duplex, bytes: number): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    const onData = (chunk: Buffer) => {
      text += chunk.toString('latin1')
      if (text.length < bytes) return
      socket.off('data', onData).pause()
      resolve(text)
    }
    socket.on('data', onData).resume()
    socket.once('close', () => reject(new Error(`closed after ${text.length} bytes`)))
  })
}

for (const transport of ['shm', 'socket']) {
  test(`upgrade over ${transport}`, async (t) => {
    if (transport === 'socket') process.env['SHMESH_DISABLE'] = '1'
    t.after(() => delete process.env['SHMESH_DISABLE'])
    const { server, agent } = await setUp(t)
    const { headers, socket } = await upgradeTo(agent, '/switch')
    assert.equal(headers['upgrade'], 'echo')
    const [seen] = await server.call('seen')
    assert.deepEqual(seen?.headers.slice(2), ['connection', 'upgrade', 'upgrade', 'echo'])
    // What came behind the head is read first.
    assert.equal(await read(socket, 8), 'greeting')
    socket.write('hello')
    assert.equal(await read(socket, 10), 'echo hello')
    // Large, and with back-pressure, as any stream.
    const large = pattern(3_000_000).toString('latin1')
    socket.write(large, 'latin1')
    await read(socket, 3_000_000)
    // It is no connection of the pool any more.
    assert.deepEqual(agent.statistics().origins, [])
    assert.equal((await transcribe(agent, { origin: ORIGIN, path: '/', method: 'GET' })).body, 'ok')
    socket.end()
    socket.resume()
    await once(socket, 'close')
  })

  test(`an upgraded stream ends behind the end of the other side over ${transport}`, async (t) => {
    if (transport === 'socket') process.env['SHMESH_DISABLE'] = '1'
    t.after(() => delete process.env['SHMESH_DISABLE'])
    const { server, agent } = await setUp(t)
    const { socket } = await upgradeTo(agent, '/brief')
    const ended = once(socket, 'end')
    socket.resume()
    await ended
    await new Promise(setImmediate)
    assert.ok(socket.writableEnded)
    await eventually('the server let go', async () => (await server.call('connections')) === 0)
  })
}

test('an upgraded stream that is reset at once fails when it can be listened to', async (t) => {
  const { agent } = await setUp(t)
  const { socket } = await upgradeTo(agent, '/gone')
  const closed = once(socket, 'close').catch((error) => error)
  assert.equal((await closed).code, 'ECONNRESET')
  assert.ok(socket.destroyed)
})

test('CONNECT', async (t) => {
  const { agent } = await setUp(t)
  const { statusCode, socket } = await agent.connect({ origin: ORIGIN, path: 'far.test:443' })
  assert.equal(statusCode, 200)
  socket.write('hello')
  assert.equal(await read(socket, 10), 'echo hello')
  socket.destroy()
  await assert.rejects(agent.connect({ origin: ORIGIN, path: 'closed.test:443' }), {
    code: 'UND_ERR_SOCKET',
    message: 'bad connect'
  })
})

test('only what was offered is switched to, and only by 101', async (t) => {
  const { server, agent } = await setUp(t)
  const switchTo = (path: string) => upgradeTo(agent, path)
  await assert.rejects(switchTo('/refuse'), { code: 'UND_ERR_SOCKET', message: 'bad upgrade' })
  await assert.rejects(switchTo('/other'), { code: 'UND_ERR_SOCKET', message: 'bad upgrade' })
  const unasked = await transcribe(agent, { origin: ORIGIN, path: '/switch', method: 'GET' })
  assert.deepEqual(unasked.events, ['start', 'error UND_ERR_SOCKET'])
  assert.equal((await server.call('seen')).length, 3)
})

test('an upgraded stream outlives close, and dies with destroy of its own', async (t) => {
  const { agent } = await setUp(t)
  const { socket } = await upgradeTo(agent, '/switch')
  const closed = agent.close()
  assert.equal(await read(socket, 8), 'greeting')
  socket.write('hello')
  assert.equal(await read(socket, 10), 'echo hello')
  socket.destroy()
  await closed
})
