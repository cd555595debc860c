/** WebSockets over shared memory: the upgrade, and what comes after it. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import { test } from 'node:test'
import { WebSocket } from 'ws'
import { sessionFor } from './app.ts'
import type { WebSocketAppMethods } from './fixtures/websocket-app.ts'
import { type Child, startChild } from './support/child.ts'
import { eventually } from './support/eventually.ts'
import { pattern } from './support/pattern.ts'
import { type Scene, scene } from './support/scene.ts'

const FIXTURE = new URL('./fixtures/websocket-app.js', import.meta.url)

async function start(s: Scene, compat: boolean): Promise<Child<WebSocketAppMethods>> {
  const app = await startChild<WebSocketAppMethods>(s, FIXTURE)
  await app.call('start', { path: s.path, compat })
  s.defer(async () => {
    await app.call('close')
    await app.call('clean')
  })
  return app
}

async function open(s: Scene, path: string): Promise<WebSocket> {
  const session = await sessionFor(s)
  const createConnection = (): Duplex => session.openStream()
  const socket = new WebSocket(`ws://app${path}`, { createConnection: createConnection as never })
  s.defer(() => socket.terminate())
  await once(socket, 'open')
  return socket
}

for (const compat of [false, true]) {
  const title = compat ? ', compat' : ''

  test(`text, bytes of every size and pings go there and back${title}`, async (t) => {
    const s = await scene(t)
    const app = await start(s, compat)
    const socket = await open(s, '/echo')
    for (const size of [0, 1, 125, 126, 65_535, 65_536, 1_048_576, 3_000_000]) {
      const bytes = pattern(size, size)
      socket.send(bytes)
      const [echo, binary] = (await once(socket, 'message')) as [Buffer, boolean]
      assert.ok(binary)
      assert.ok(echo.equals(bytes), `${size} bytes`)
    }
    socket.send('zwölf €')
    const [text, binary] = (await once(socket, 'message')) as [Buffer, boolean]
    assert.deepEqual([text.toString(), binary], ['zwölf €', false])
    socket.ping('still there?')
    assert.equal(String((await once(socket, 'pong'))[0]), 'still there?')
    assert.equal(await app.call('clients'), 1)
    socket.close(1000, 'done')
    assert.deepEqual((await once(socket, 'close')).map(String), ['1000', 'done'])
    await eventually('the app has let go', async () => (await app.call('clients')) === 0)
  })

  test(`a message sent with the request's last byte is not lost${title}`, async (t) => {
    const s = await scene(t)
    await start(s, compat)
    const session = await sessionFor(s)
    const stream = session.openStream()
    // A masked text frame of five bytes, whose key is zero.
    stream.write(
      'GET /echo HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
        'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n' +
        '\x81\x85\0\0\0\0hello',
      'latin1'
    )
    let answer = ''
    stream.on('data', (chunk: Buffer) => {
      answer += chunk.toString('latin1')
    })
    await eventually(
      () => `the echo comes: ${answer}`,
      () => answer.endsWith('\x81\x05hello')
    )
    assert.match(answer, /^HTTP\/1\.1 101 Switching Protocols\r\n/)
    stream.destroy()
  })

  test(`the app's end closes its WebSockets in order${title}`, async (t) => {
    const s = await scene(t)
    const app = await start(s, compat)
    const socket = await open(s, '/echo')
    const closed = once(socket, 'close')
    await app.call('close')
    assert.equal((await closed)[0], 1005)
  })
}
