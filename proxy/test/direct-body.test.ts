/** Uploads that are read straight into the app's shared memory: nothing of it may be noticed. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import { test } from 'node:test'
import { listen, type ShmStream } from '../../adapter/shmipc/index.ts'
import { atEnd, dial, quiet, startSimpleProxy, temporaryDirectory } from './harness.ts'
import { startApp } from './processes.ts'

const MIB = 1024 * 1024

function head(bytes: number, rest = ''): string {
  return `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${bytes}\r\n${rest}\r\n`
}

function digest(body: Buffer): string {
  return `${body.length} ${createHash('sha256').update(body).digest('hex')}`
}

async function start(t: import('node:test').TestContext) {
  const address = `shm://${temporaryDirectory(t)}/app.sock`
  const app = await startApp(t, address)
  const { port, proxy } = await startSimpleProxy(t, [address])
  const session = () => proxy.statistics().clusters[0]?.endpoints[0]?.link?.session
  const settled = () => quiet(() => session() === undefined || session()?.slicesInUse === 0)
  return { app, port, proxy, session, settled }
}

type Client = Awaited<ReturnType<typeof dial>>

async function answer(client: Client): Promise<string> {
  const length = Number(/content-length: (\d+)/i.exec(await client.head())?.[1])
  return await client.take(length)
}

test('bodies end where they end, with the next request right behind', async (t) => {
  const { port, settled } = await start(t)
  const client = await dial(t, port)
  client.write(head(1))
  client.write('x')
  await answer(client)
  const sizes = [16_383, 24 * 1024, 64 * 1024, 65_537, MIB - 1, MIB, MIB + 1, 4 * MIB, 9 * MIB + 5]
  const bodies = sizes.map((size) => randomBytes(size))
  const all = bodies.flatMap((body) => [Buffer.from(head(body.length)), body])
  client.stream.write(Buffer.concat(all))

  for (const body of bodies) assert.equal(await answer(client), digest(body))
  await settled()
})

test('a client that stalls again and again loses no byte', async (t) => {
  const { port, session, settled } = await start(t)
  const client = await dial(t, port)
  client.write(head(1))
  client.write('x')
  await answer(client)
  const body = randomBytes(3 * MIB)
  client.write(head(body.length))
  for (let at = 0; at < body.length; at += 400_000) {
    client.stream.write(body.subarray(at, at + 400_000))
    // Until what was held for it has been let go.
    await quiet(() => (session()?.lists ?? []).every((list) => list.held === 0))
  }

  assert.equal(await answer(client), digest(body))
  await settled()
})

test('a client that goes away in the middle leaves nothing behind', async (t) => {
  const { port, proxy, settled } = await start(t)
  for (let i = 0; i < 20; i++) {
    const client = await dial(t, port)
    client.write(head(1))
    client.write('x')
    await answer(client)
    client.write(head(4 * MIB))
    client.stream.write(randomBytes(100_000 * i + 70_000))
    if (i % 2 === 0) await quiet(() => proxy.statistics().requests.active === 1)
    client.stream.destroy()
    await quiet(() => proxy.statistics().requests.active === 0)
  }
  await settled()
})

test('an app that dies in the middle is a 502, and the next one is served', async (t) => {
  const { app, port, proxy } = await start(t)
  const client = await dial(t, port)
  client.write(head(1))
  client.write('x')
  await answer(client)
  client.write(head(8 * MIB))
  client.stream.write(randomBytes(MIB))
  await quiet(() => proxy.statistics().requests.active === 1)
  app.process.kill('SIGKILL')

  assert.match(await client.head(), /^HTTP\/1\.1 502 /)
})

test('an answer before the end of the body ends the reading, not the connection of others', async (t) => {
  const path = `${temporaryDirectory(t)}/early.sock`
  const listener = await listen({ path })
  atEnd(t, async () => {
    await listener.close()
    for (const session of listener.sessions) session.destroy()
  })
  listener.on('stream', (stream) => {
    let seen = 0
    stream.on('error', () => undefined)
    stream.on('data', (chunk: Buffer) => {
      seen += chunk.length
      if (seen < 200_000 || stream.writableEnded) return
      stream.end(
        'HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno\n'
      )
    })
  })
  const { port, proxy } = await startSimpleProxy(t, [`shm://${path}`])
  const client = await dial(t, port)
  client.stream.on('error', () => undefined)
  client.stream.write(Buffer.concat([Buffer.from(head(50 * MIB)), randomBytes(2 * MIB)]))

  assert.match(await client.head(), /^HTTP\/1\.1 413 /)
  const session = () => proxy.statistics().clusters[0]?.endpoints[0]?.link?.session
  await quiet(() => session()?.slicesInUse === 0)
})

test('more uploads than there are slices: each waits for its turn, and none loses a byte', async (t) => {
  const path = `${temporaryDirectory(t)}/few.sock`
  const listener = await listen({ path })
  const server = createServer((request, response) => {
    request.toArray().then(
      (chunks) => response.end(digest(Buffer.concat(chunks as Buffer[]))),
      (error) => response.destroy(error)
    )
  })
  atEnd(t, async () => {
    await listener.close()
    for (const session of listener.sessions) session.destroy()
  })
  const uploads = 20
  const first: ShmStream[] = []
  listener.on('stream', (stream) => {
    if (first.push(stream) < uploads) return
    // Nobody reads before: what there is, is used up, and some wait for it in vain.
    const begun = first.length === uploads ? first : [stream]
    for (const each of begun) server.emit('connection', each)
  })
  const endpoints = [{ address: `shm://${path}`, memory: '8MiB' }]
  const { port, proxy } = await startSimpleProxy(t, [], { cluster: { endpoints } })
  const session = () => proxy.statistics().clusters[0]?.endpoints[0]?.link?.session
  const clients = await Promise.all(Array.from({ length: uploads }, () => dial(t, port)))
  for (const bytes of [MIB + 1, 300_000, MIB + 2]) {
    const bodies = clients.map(() => randomBytes(bytes))
    clients.forEach(({ stream }, i) => {
      stream.write(Buffer.concat([Buffer.from(head(bytes)), bodies[i] as Buffer]))
    })
    const answers = await Promise.all(clients.map(answer))

    assert.deepEqual(answers, bodies.map(digest))
    await quiet(() => session()?.slicesInUse === 0)
  }
})

test('uploads that are given up while they wait for a slice leave nothing behind', async (t) => {
  const path = `${temporaryDirectory(t)}/none.sock`
  const listener = await listen({ path })
  const streams: ShmStream[] = []
  atEnd(t, async () => {
    await listener.close()
    for (const session of listener.sessions) session.destroy()
  })
  listener.on('stream', (stream) => {
    // Nobody reads it, nor hears that it was reset.
    streams.push(stream.on('error', () => undefined))
  })
  const endpoints = [{ address: `shm://${path}`, memory: '8MiB' }]
  const { port, proxy } = await startSimpleProxy(t, [], { cluster: { endpoints } })
  const session = () => proxy.statistics().clusters[0]?.endpoints[0]?.link?.session
  const clients = await Promise.all(Array.from({ length: 12 }, () => dial(t, port)))
  for (const { stream } of clients) {
    stream.write(Buffer.concat([Buffer.from(head(2 * MIB)), randomBytes(MIB)]))
  }
  await quiet(() => streams.length === clients.length)
  for (const { stream } of clients) stream.destroy()
  await quiet(() => proxy.statistics().requests.active === 0)
  for (const stream of streams) stream.destroy()

  await quiet(() => session()?.slicesInUse === 0)
})
