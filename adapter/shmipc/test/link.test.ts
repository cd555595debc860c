import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import process from 'node:process'
import { type TestContext, test } from 'node:test'
import { eventually } from '../../test/support/eventually.ts'
import { type Scene, scene } from '../../test/support/scene.ts'
import { type Connection, Link, listen, type ShmStream, UnreachableError } from '../index.ts'
import { closing, type Peer, readAll, startPeer } from './peer.ts'

/** Warnings of this process, all tests of this file. */
const warnings: Error[] = []
process.on('warning', (warning) => warnings.push(warning))

async function serve(stage: Scene, env: Record<string, string> = {}): Promise<Peer> {
  const server = await startPeer(stage, { env })
  await server.call('listen', { path: stage.path, takeover: true })
  stage.defer(() => (server.running ? server.call('closeListeners') : undefined))
  return server
}

function linkTo(stage: Scene, memory?: string): Link {
  const link = new Link(stage.path, { memory })
  stage.defer(() => link.destroy())
  return link
}

async function echo({ stream }: Connection, text: string): Promise<string> {
  const answer = readAll(stream)
  stream.end(`echo\n${text}`)
  return (await answer).toString()
}

function disable(t: TestContext): void {
  process.env['SHMESH_DISABLE'] = '1'
  t.after(() => delete process.env['SHMESH_DISABLE'])
}

async function assertUnreachable(link: Link, code: string): Promise<void> {
  await assert.rejects(link.connect(), (error) => {
    assert.ok(error instanceof UnreachableError)
    assert.equal(error.code, code)
    assert.equal(error.syscall, 'connect')
    return true
  })
}

/** Connects, one after the other, until it goes by `transport`. */
function until(link: Link, transport: 'shm' | 'socket'): Promise<void> {
  return eventually(`the link uses ${transport}`, async () => {
    const connection = await link.connect()
    assert.equal(await echo(connection, 'a'), 'a')
    return connection.transport === transport
  })
}

test('connections are streams of one session', async (t) => {
  const stage = await scene(t)
  const server = await serve(stage)
  const link = linkTo(stage)
  const connections = await Promise.all(Array.from({ length: 20 }, () => link.connect()))

  assert.ok(connections.every(({ transport }) => transport === 'shm'))
  assert.equal(link.connections, 20)
  const answers = await Promise.all(connections.map((connection, i) => echo(connection, `${i}`)))
  assert.deepEqual(answers, Object.keys(connections))
  assert.equal((await server.call('seen')).sessions, 1)
  const { transport, reason, connections: counted, session } = link.statistics()
  assert.deepEqual(
    { transport, reason, counted },
    { transport: 'shm', reason: undefined, counted: { shm: 20, socket: 0 } }
  )
  assert.equal(session?.peer, 'shmesh')
})

for (const where of ['client', 'server'] as const) {
  test(`SHMESH_DISABLE=1 in the ${where}: sockets on the same path, and one warning`, async (t) => {
    const stage = await scene(t)
    const server = await serve(stage, where === 'server' ? { SHMESH_DISABLE: '1' } : {})
    if (where === 'client') disable(t)
    for (const link of [linkTo(stage), linkTo(stage)]) {
      for (let i = 0; i < 3; i++) {
        const connection = await link.connect()
        assert.equal(connection.transport, 'socket')
        assert.equal(await echo(connection, 'plain'), 'plain')
      }
      assert.equal(link.statistics().transport, 'socket')
      assert.notEqual(link.statistics().reason, undefined)
    }
    assert.equal((await server.call('seen')).sessions, 0)
    const own = warnings.filter(({ name }) => name === 'ShmeshWarning').length
    const theirs = server.stderr.match(/ShmeshWarning/g)?.length ?? 0
    // The client's was the first test that warned in this process.
    assert.deepEqual([own, theirs], where === 'client' ? [1, 0] : [1, 1])
  })
}

test('nobody listens: an error, at once, each time', async (t) => {
  const stage = await scene(t)
  const link = linkTo(stage)
  for (let i = 0; i < 5; i++) await assertUnreachable(link, 'ENOENT')

  const server = await startPeer(stage)
  await server.call('listen', { path: stage.path })
  await server.kill()
  for (let i = 0; i < 5; i++) await assertUnreachable(link, 'ECONNREFUSED')

  // It was never tried in vain: the first connection that can be made is one of shared memory.
  await serve(stage)
  const { stream, transport } = await link.connect()
  stream.destroy()
  assert.equal(transport, 'shm')
})

test('nobody listens, without shared memory: the same error', async (t) => {
  const stage = await scene(t)
  disable(t)
  const link = linkTo(stage)
  for (let i = 0; i < 3; i++) await assertUnreachable(link, 'ENOENT')
})

test('a server that is killed and comes back', async (t) => {
  const stage = await scene(t)
  const first = await serve(stage)
  const link = linkTo(stage)
  const { stream } = await link.connect()
  const error = closing(stream)
  stream.write('hold\n')
  await first.kill()
  assert.equal((await error)?.code, 'ECONNRESET')
  await assertUnreachable(link, 'ECONNREFUSED')
  assert.equal(link.statistics().session, undefined)

  await serve(stage)
  const connection = await link.connect()
  assert.equal(connection.transport, 'shm')
  assert.equal(await echo(connection, 'back'), 'back')
})

test('a server without shared memory, then one with it', async (t) => {
  const stage = await scene(t)
  await serve(stage, { SHMESH_DISABLE: '1' })
  const link = linkTo(stage)
  const changes: string[] = []
  link.on('transport', (transport) => changes.push(transport))
  await until(link, 'socket')
  const first = link.statistics().reason
  await serve(stage)
  await until(link, 'shm')
  assert.equal(link.statistics().reason, undefined)
  assert.notEqual(first, undefined)

  await serve(stage, { SHMESH_DISABLE: '1' })
  const { stream, transport } = await link.connect()
  stream.destroy()
  assert.equal(transport, 'shm', 'the session with the server before is still there')
  assert.deepEqual(changes, ['socket', 'shm'])
})

for (const [what, greet] of [
  ['closes', (socket: Socket) => socket.once('data', () => socket.end('HTTP/1.1 400 \r\n\r\n'))],
  ['answers something else', (socket: Socket) => socket.once('data', () => socket.write('no'))],
  ['says nothing', () => undefined]
] as const) {
  test(`a server that ${what} when offered shared memory is used by sockets`, async (t) => {
    const stage = await scene(t)
    const accepted = new Set<Socket>()
    let offers = 0
    const server = createServer((socket) => {
      accepted.add(socket.on('error', () => undefined))
      socket.once('data', () => offers++)
      greet(socket)
    })
    server.listen(stage.path)
    await once(server, 'listening')
    stage.defer(() => {
      server.close()
      for (const socket of accepted) socket.destroy()
    })
    const link = linkTo(stage)
    // However long it takes, it is not time for another handshake.
    t.mock.timers.enable({ apis: ['Date', 'setTimeout'] })
    try {
      const { stream, transport } = await link.connect()
      assert.equal(transport, 'socket')
      assert.match(link.statistics().reason ?? '', /no session with/)
      stream.destroy()
      const another = await link.connect()
      another.stream.destroy()
    } finally {
      t.mock.timers.reset()
    }
    assert.equal(offers, 1)
  })
}

test('a server that allows less memory is used by sockets', async (t) => {
  const stage = await scene(t)
  const server = await startPeer(stage)
  await server.call('listen', { path: stage.path, memory: '1MiB' })
  stage.defer(() => server.call('closeListeners'))
  const connection = await linkTo(stage, '64MiB').connect()

  assert.equal(connection.transport, 'socket')
  assert.equal(await echo(connection, 'plain'), 'plain')
})

test('a server that leaves: streams end in peace, the next go to its successor', async (t) => {
  const stage = await scene(t)
  const first = await serve(stage)
  const link = linkTo(stage)
  const { stream } = await link.connect()
  stream.write('echo\n')
  assert.equal((stream as ShmStream).retiring, false)
  const second = await serve(stage)
  const closed = first.call('closeGracefully')
  await eventually('the server has said so', () => (stream as ShmStream).retiring)

  const next = await link.connect()
  assert.equal(next.transport, 'shm')
  assert.equal((next.stream as ShmStream).retiring, false)
  assert.equal(await echo(next, 'new'), 'new')
  assert.equal((await second.call('seen')).sessions, 1)
  const answer = readAll(stream)
  stream.end('old')
  assert.equal((await answer).toString(), 'old')
  await closed
})

test('close() lets connections end, and makes no more', async (t) => {
  const stage = await scene(t)
  await serve(stage)
  for (const disabled of [false, true]) {
    if (disabled) disable(t)
    const link = linkTo(stage)
    const connection = await link.connect()
    connection.stream.write('echo\n')
    let over = false
    const closed = link.close().then(() => {
      over = true
    })
    await assert.rejects(link.connect(), { code: 'SHM_ERR_SESSION_CLOSED' })
    assert.equal(over, false)
    const answer = readAll(connection.stream)
    connection.stream.end('last')
    assert.equal((await answer).toString(), 'last')
    await closed
    assert.equal(link.connections, 0)
  }
})

test('destroy() ends every connection, and fails those under way', async (t) => {
  const stage = await scene(t)
  await serve(stage)
  for (const disabled of [false, true]) {
    if (disabled) disable(t)
    const link = linkTo(stage)
    const { stream } = await link.connect()
    const closed = closing(stream)
    stream.write('hold\n')
    const pending = Promise.allSettled(
      [link.connect(), link.connect()].map(async (connecting) => closing((await connecting).stream))
    )
    // Some microtasks later streams are there, and sockets are being connected.
    for (let i = 0; i < 10; i++) await Promise.resolve()
    link.destroy()

    await closed
    await pending
    await assert.rejects(link.connect(), { code: 'SHM_ERR_SESSION_CLOSED' })
  }
})

test('destroy() while the handshake is under way fails it', async (t) => {
  const stage = await scene(t)
  const listener = await listen({ path: stage.path })
  stage.defer(async () => {
    await listener.close()
    for (const session of listener.sessions) session.destroy()
  })
  const link = linkTo(stage)
  const pending = link.connect()
  link.destroy()

  await assert.rejects(pending, { code: 'SHM_ERR_SESSION_CLOSED' })
})

test('bad addresses and sizes are refused before anything is opened', () => {
  for (const [address, memory] of [
    ['relative.sock', undefined],
    ['shm://host/x.sock', undefined],
    ['/x.sock', '0MiB'],
    ['/x.sock', '64']
  ] as const) {
    assert.throws(() => new Link(address, { memory }), { code: 'SHM_ERR_INVALID_ARG' })
  }
})
