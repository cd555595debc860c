import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createConnection, type Socket } from 'node:net'
import { test } from 'node:test'
import { eventually } from '../../test/support/eventually.ts'
import { pattern, sha256 } from '../../test/support/pattern.ts'
import { type Scene, scene } from '../../test/support/scene.ts'
import { connect, listen, type ShmSession } from '../index.ts'
import { closing, command, openSession, type Peer, readAll, startPeer } from './peer.ts'

/** A client's first handshake message; the server answers by the same eight bytes. */
const OFFER = '0000000877580304'

async function startServer(stage: Scene): Promise<Peer> {
  const server = await startPeer(stage)
  await server.call('listen', { path: stage.path })
  await server.call('baseline')
  stage.defer(async () => {
    if (!server.running) return
    await server.call('clean')
    await server.call('closeListeners')
  })
  return server
}

function dial(stage: Scene): Socket {
  const socket = createConnection({ path: stage.path, allowHalfOpen: true })
  stage.defer(() => socket.destroy())
  socket.on('error', () => undefined)
  return socket
}

/** The server still makes sessions. */
async function assertServes(stage: Scene): Promise<void> {
  const session = await connect(stage.path)
  const stream = command(session, 'echo')
  stream.end('still here')
  assert.equal((await readAll(stream)).toString(), 'still here')
  await session.close()
}

test('a client that speaks something else arrives as a connection, with every byte', async (t) => {
  const stage = await scene(t)
  const server = await startServer(stage)
  const socket = dial(stage)
  const body = pattern(300_000)
  const answer = readAll(socket)
  socket.write('hash\n')
  socket.end(body)

  assert.equal((await answer).toString(), `300000 ${sha256(body)}`)
  assert.equal((await server.call('seen')).connections, 1)
})

test('such a client may end before it is answered', async (t) => {
  const stage = await scene(t)
  await startServer(stage)
  const socket = dial(stage)
  const answer = readAll(socket)
  socket.end('late\n')

  assert.equal((await answer).toString(), 'late')
})

test('a client that says nothing is a connection too, and delays nobody', async (t) => {
  const stage = await scene(t)
  const server = await startServer(stage)
  const silent = Array.from({ length: 20 }, () => dial(stage))
  await Promise.all(silent.map((socket) => once(socket, 'connect')))
  await assertServes(stage)
  await eventually('they are handed over', async () => {
    const { connections } = await server.call('seen')
    return connections === silent.length
  })

  for (const socket of silent) {
    const answer = readAll(socket)
    socket.end('echo\nhello')
    assert.equal((await answer).toString(), 'hello')
  }
})

test('garbage is refused, and the next client served', async (t) => {
  const stage = await scene(t)
  const server = await startServer(stage)
  const cases = [
    ['no magic', '0000000800000304'],
    ['an old version', '0000000877580204'],
    ['another message', '0000000877580303'],
    ['a length below the header', '0000000777580304'],
    ['a huge length', '00ffffff77580304'],
    ['zeros', '00'.repeat(64)],
    ['noise', `00${pattern(4000).toString('hex')}`],
    ['noise after the offer', `${OFFER}${pattern(4000).toString('hex')}`],
    ['metadata that does not add up', `${OFFER}0000001077580305ffff000000000000`]
  ] as const
  for (const [index, [name, hex]] of cases.entries()) {
    const socket = dial(stage)
    const closed = closing(socket)
    socket.resume()
    socket.write(Buffer.from(hex, 'hex'))
    // The server may still wait for more of it.
    if (name === 'a huge length') socket.end()
    socket.once('end', () => socket.destroy())
    await closed
    await eventually(`${name} is refused`, async () => {
      const { refused } = await server.call('seen')
      return refused.length === index + 1
    })
  }
  await assertServes(stage)
  const { refused, connections } = await server.call('seen')
  assert.equal(connections, 0)
  assert.match(refused[0] ?? '', /magic/)
  assert.match(refused[1] ?? '', /version 2/)
})

test('a client that goes in the middle of the handshake leaves nothing', async (t) => {
  const stage = await scene(t)
  const server = await startServer(stage)
  for (let i = 0; i < 20; i++) {
    const socket = dial(stage)
    await once(socket, 'connect')
    // Nothing, a part of the first message, all of it.
    const bytes = Buffer.from(OFFER, 'hex').subarray(0, (i % 3) * 4)
    if (bytes.length > 0) await new Promise((resolve) => socket.write(bytes, resolve))
    socket.destroy()
  }
  await assertServes(stage)
  await server.call('clean')
})

test('a client that stops in the middle of the handshake is dropped', async (t) => {
  const stage = await scene(t)
  await startServer(stage)
  const sockets = ['00', '00000008', OFFER].map((hex) => {
    const socket = dial(stage)
    socket.write(Buffer.from(hex, 'hex'))
    socket.resume()
    return socket
  })
  await assertServes(stage)

  for (const socket of sockets) if (!socket.readableEnded) await once(socket, 'end')
})

test('a blocked event loop costs no client its handshake', async (t) => {
  const stage = await scene(t)
  const server = await startServer(stage)
  await server.call('block')
  const session = await connect(stage.path)
  const stream = command(session, 'echo')
  const answer = readAll(stream)
  stream.end('patience')
  server.openGate()

  assert.equal((await answer).toString(), 'patience')
  await session.close()
})

test('fifty clients at once', async (t) => {
  const stage = await scene(t)
  await startServer(stage)
  const sessions = await Promise.all(Array.from({ length: 50 }, () => connect(stage.path)))
  stage.defer(() => {
    for (const session of sessions) session.destroy()
  })
  const answers = await Promise.all(
    sessions.map((session, i) => {
      const stream = command(session, 'echo')
      const answer = readAll(stream)
      stream.end(`client ${i}`)
      return answer
    })
  )
  assert.deepEqual(
    answers.map(String),
    sessions.map((_, i) => `client ${i}`)
  )
})

test('a client with more memory than allowed is refused', async (t) => {
  const stage = await scene(t)
  const { session, peer } = await openSession(stage, '2MiB', { memory: '2MiB' })
  assert.ok(session.memory.length > 0)
  await assert.rejects(connect(stage.path, { memory: '16MiB' }), { code: 'SHM_ERR_HANDSHAKE' })
  await eventually('the server says so', async () => {
    const { refused } = await peer.call('seen')
    return refused.length === 1
  })
})

test('close() removes the path at once, and leaves what is open alone', async (t) => {
  const stage = await scene(t)
  const server = await startServer(stage)
  const session = await connect(stage.path)
  stage.defer(() => session.destroy())
  const socket = dial(stage)
  socket.write('echo\n')
  const stream = command(session, 'echo')
  stream.write('a')
  await once(stream, 'data')
  // Before it has said what it speaks, a client is the listener's and goes with it.
  await eventually('it is handed over', async () => {
    const { connections } = await server.call('seen')
    return connections === 1
  })
  await server.call('closeListeners')

  assert.equal(existsSync(stage.path), false)
  await assert.rejects(connect(stage.path), { code: 'ENOENT', syscall: 'connect' })
  for (const open of [stream, socket, command(session, 'echo')]) {
    const answer = readAll(open)
    open.end('goes on')
    assert.equal((await answer).toString(), 'goes on')
  }
  stream.destroy()
  await session.close()
})

test('close() twice is once', async (t) => {
  const { path } = await scene(t)
  const listener = await listen({ path })
  await Promise.all([listener.close(), listener.close()])
  await listener.close()
})

test('a stream nobody listens for is reset', async (t) => {
  const stage = await scene(t)
  const listener = await listen({ path: stage.path })
  stage.defer(() => listener.close())
  const accepted = once(listener, 'session')
  const client = await startPeer(stage)
  await client.call('connect', stage.path)
  const [session] = (await accepted) as [ShmSession]
  stage.defer(() => session.destroy())
  await client.call('wait', false)

  await client.ended()
  assert.match(client.stderr, /ECONNRESET/)
})

test('takeover: no client is lost while one server replaces another', async (t) => {
  const stage = await scene(t)
  const first = await startPeer(stage)
  await first.call('listen', { path: stage.path })
  let stop = false
  let answered = 0
  let unanswered: unknown
  const clients = Array.from({ length: 4 }, async () => {
    while (!stop) {
      const session = await connect(stage.path)
      const stream = command(session, 'echo')
      const answer = readAll(stream)
      stream.end('ping')
      if ((await answer).toString() === 'ping') answered++
      await session.close()
    }
  })
  const traffic = Promise.all(clients).catch((error: unknown) => {
    unanswered = error
  })
  await eventually('there is traffic', () => answered > 20)
  const kept = await connect(stage.path)
  stage.defer(() => kept.destroy())
  const old = command(kept, 'echo')
  const second = await startPeer(stage)
  await assert.rejects(second.call('listen', { path: stage.path }), {
    code: 'SHM_ERR_ADDRESS_IN_USE'
  })
  await second.call('listen', { path: stage.path, takeover: true })
  stage.defer(() => second.call('closeListeners'))
  const left = once(kept, 'leave')
  const gone = first.call('closeGracefully')
  await left
  const until = answered + 20
  await eventually('there is traffic', () => answered > until || unanswered !== undefined)
  stop = true
  await traffic

  assert.equal(unanswered, undefined)
  // The old server still answers what it began, and does not take the new one's path with it.
  const answer = readAll(old)
  old.end('old')
  assert.equal((await answer).toString(), 'old')
  await gone
  assert.equal(existsSync(stage.path), true)
  await assertServes(stage)
})
