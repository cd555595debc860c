import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { request as httpRequest } from 'node:http'
import { test } from 'node:test'
import { Link, listen } from '../../adapter/shmipc/index.ts'
import { eventually } from '../../adapter/test/support/eventually.ts'
import { Bytes } from './bytes.ts'
import {
  answering,
  atEnd,
  dial,
  ok,
  quiet,
  startOrigin,
  startProxy,
  startSimpleProxy,
  temporaryDirectory
} from './harness.ts'
import { startApp } from './processes.ts'

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'

test('requests reach an app through shared memory, every byte in its place', async (t) => {
  const address = `shm://${temporaryDirectory(t)}/app.sock`
  const app = await startApp(t, address)
  const { port, proxy } = await startSimpleProxy(t, [address], { proxy: { transportHeader: true } })
  const client = await dial(t, port)

  client.write(GET)
  assert.match(await client.head(), /^HTTP\/1\.1 200 .*X-Shmesh-Transport: shm\r\n/s)
  assert.equal(await client.take(String(app.process.pid).length), String(app.process.pid))

  for (const size of [1, 16 * 1024, 1024 * 1024, 5 * 1024 * 1024]) {
    const body = randomBytes(size)
    client.stream.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${size}\r\n\r\n`)
    client.stream.write(body)
    const head = await client.head()
    const length = Number(/content-length: (\d+)/i.exec(head)?.[1])
    const hash = createHash('sha256').update(body).digest('hex')
    assert.equal(await client.take(length), `${size} ${hash}`)

    client.write(`GET /${size} HTTP/1.1\r\nHost: a\r\n\r\n`)
    await client.head()
    assert.equal(await client.take(size), 'x'.repeat(size))
  }
  assert.deepEqual(proxy.statistics().requests.transport, { shm: 9, fallback: 0, socket: 0 })
  const link = () => proxy.statistics().clusters[0]?.endpoints[0]?.link
  assert.equal(link()?.transport, 'shm')
  await quiet(() => link()?.session?.slicesInUse === 0)
  assert.equal(link()?.session?.slicesInUse, 0)
})

test('what a slow client has not taken does not stop who uses its upstream’s stream next', async (t) => {
  const address = `shm://${temporaryDirectory(t)}/app.sock`
  await startApp(t, address)
  const { port, proxy } = await startSimpleProxy(t, [address], { cluster: { connections: 1 } })
  const slow = await dial(t, port)
  slow.stream.pause()
  // Each is one message: the app is done with it while the proxy still holds what the client's
  // socket has no room for.
  slow.stream.write('GET /1000000 HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(32))
  const session = () => proxy.statistics().clusters[0]?.endpoints[0]?.link?.session
  const held = () => session()?.leases ?? 0
  await quiet(() => held() > 0)
  assert.ok(held() > 0, 'the proxy holds what the client does not take')

  const fast = await dial(t, port)
  for (let sent = 0; sent < 20; sent++) {
    fast.write('GET /100000 HTTP/1.1\r\nHost: a\r\n\r\n')
    await fast.head()
    await fast.take(100_000)
  }
  slow.stream.destroy()
  await quiet(() => held() === 0)
  assert.equal(session()?.slicesInUse, 0)
})

test('when the shared memory is too small for what is going on, the label says fallback', async (t) => {
  const address = `shm://${temporaryDirectory(t)}/app.sock`
  const app = await startApp(t, address)
  const { port, proxy } = await startProxy(t, {
    listeners: [{ name: 'in', address: 'http://127.0.0.1:0', routes: [{ cluster: 'app' }] }],
    clusters: [{ name: 'app', endpoints: [{ address, memory: '1MiB' }] }]
  })
  const clients = await Promise.all(Array.from({ length: 8 }, () => dial(t, port)))
  for (const client of clients) {
    client.write(GET)
    await client.head()
    await client.take(String(app.process.pid).length)
  }
  // A reader that stands still: no slice comes back, and what does not fit goes by the socket.
  app.process.kill('SIGSTOP')
  const size = 2 * 1024 * 1024
  const body = Buffer.alloc(size, 'y')
  const hash = createHash('sha256').update(body).digest('hex')
  for (const client of clients) {
    client.stream.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${size}\r\n\r\n`)
    client.stream.write(body)
  }
  const session = () => proxy.statistics().clusters[0]?.endpoints[0]?.link?.session
  while (session()?.fallbackMessages === 0) await new Promise((resolve) => setImmediate(resolve))
  app.process.kill('SIGCONT')
  for (const client of clients) {
    await client.head()
    assert.equal(await client.take(`${size} ${hash}`.length), `${size} ${hash}`)
  }
  const { transport } = proxy.statistics().requests
  assert.equal(transport.shm + transport.fallback, 16)
  assert.ok(transport.fallback > 0, 'nothing is labelled fallback')
  assert.equal(transport.socket, 0)
  await quiet(() => session()?.slicesInUse === 0)
  assert.equal(session()?.slicesInUse, 0)
})

test('with minFreeMemory nothing new is sent where little is free, and all again when it is', async (t) => {
  const address = `shm://${temporaryDirectory(t)}/app.sock`
  const app = await startApp(t, address)
  const { port, proxy } = await startProxy(t, {
    listeners: [{ name: 'in', address: 'http://127.0.0.1:0', routes: [{ cluster: 'app' }] }],
    clusters: [{ name: 'app', minFreeMemory: 50, endpoints: [{ address, memory: '1MiB' }] }]
  })
  const get = async () => {
    const client = await dial(t, port)
    client.write('GET /1 HTTP/1.1\r\nHost: a\r\n\r\n')
    return client
  }
  assert.match(await (await get()).head(), /^HTTP\/1\.1 200 /)

  app.process.kill('SIGSTOP')
  const size = 2 * 1024 * 1024
  const uploads = await Promise.all(Array.from({ length: 8 }, () => dial(t, port)))
  for (const upload of uploads) {
    upload.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${size}\r\n\r\n`)
  }
  const requests = () => proxy.statistics().requests
  while (requests().total <= uploads.length) await new Promise((next) => setImmediate(next))
  for (const upload of uploads) upload.stream.write(Buffer.alloc(size, 'y'))
  // How much is free is looked at now and then: those asked before wait for the app.
  const admitted: Bytes[] = []
  let refused: Bytes | undefined
  await eventually('a request is refused', async () => {
    const { total } = requests()
    const client = await get()
    while (requests().total === total) await new Promise((next) => setImmediate(next))
    if (requests().failures.upstream_overloaded === undefined) admitted.push(client)
    else refused = client
    return refused !== undefined
  })
  assert.ok(refused)
  const answer = await refused.head()
  assert.match(answer, /^HTTP\/1\.1 503 .*x-shmesh-reason: upstream_overloaded/is)
  assert.match(await refused.until('\n'), /less than 50 % of its shared memory free/)

  app.process.kill('SIGCONT')
  for (const client of [...uploads, ...admitted]) {
    assert.match(await client.head(), /^HTTP\/1\.1 200 /)
  }
  const session = () => proxy.statistics().clusters[0]?.endpoints[0]?.link?.session
  await quiet(() => session()?.slicesInUse === 0)
  assert.equal(session()?.slicesInUse, 0)
  // The last look was while little was free.
  let served = ''
  await quiet(async () => {
    served = await (await get()).head()
    return served.startsWith('HTTP/1.1 200 ')
  })
  assert.match(served, /^HTTP\/1\.1 200 /)
  assert.equal(requests().failures.upstream_reset, undefined)
})

test('a shm:// listener takes streams and plain HTTP on the same path', async (t) => {
  const path = `${temporaryDirectory(t)}/outbound.sock`
  const origin = await startOrigin(
    t,
    answering((head) => ok(head))
  )
  const { proxy } = await startProxy(t, {
    transportHeader: true,
    listeners: [
      {
        name: 'outbound',
        address: `shm://${path}`,
        routes: [{ match: { host: 'orders.test' }, cluster: 'orders' }]
      }
    ],
    clusters: [{ name: 'orders', endpoints: [{ address: origin.address }] }]
  })

  const link = new Link(path)
  const { stream, transport } = await link.connect()
  assert.equal(transport, 'shm')
  const client = new Bytes(stream)
  client.write('GET /x HTTP/1.1\r\nHost: orders.test\r\n\r\n')
  const head = await client.head()
  assert.match(head, /X-Shmesh-Transport: shm\r\n/)
  const upstreamHead = await client.take(Number(/content-length: (\d+)/i.exec(head)?.[1]))
  assert.doesNotMatch(upstreamHead, /x-forwarded-for/i)
  client.write('GET /x HTTP/1.1\r\nHost: unknown.test\r\n\r\n')
  assert.match(await client.head(), /^HTTP\/1\.1 502 .*no_route/s)
  link.destroy()

  const answer = await new Promise<string | undefined>((resolve, reject) => {
    const request = httpRequest({ socketPath: path, headers: { host: 'orders.test' } })
    request.on('response', (response) => {
      response.resume()
      resolve(response.headers['x-shmesh-transport'] as string | undefined)
    })
    request.on('error', reject)
    request.end()
  })
  assert.equal(answer, 'socket')
  assert.deepEqual(proxy.statistics().requests.transport, { shm: 1, fallback: 0, socket: 1 })
})

test('a stream that its client destroys takes the upstream request with it', async (t) => {
  const path = `${temporaryDirectory(t)}/outbound.sock`
  const origin = await startOrigin(t, async (connection) => {
    await connection.head()
    await connection.gone()
  })
  await startProxy(t, {
    listeners: [{ name: 'out', address: `shm://${path}`, routes: [{ cluster: 'orders' }] }],
    clusters: [{ name: 'orders', endpoints: [{ address: origin.address }] }]
  })
  const link = new Link(path)
  const { stream } = await link.connect()
  stream.on('error', () => undefined)
  stream.write(GET)
  while (origin.connections[0] === undefined) await new Promise((resolve) => setImmediate(resolve))
  await origin.connections[0].head
  stream.destroy(new Error('changed its mind'))
  await origin.connections[0].gone()
  link.destroy()
})

test('a server that is going is left alone, and its successor asked', async (t) => {
  const path = `${temporaryDirectory(t)}/app.sock`
  const serve = async (name: string) => {
    const listener = await listen({ path, takeover: true })
    listener.on('stream', (stream) => {
      void answering(() => ok(name))(new Bytes(stream)).catch(() => undefined)
    })
    atEnd(t, async () => {
      for (const session of listener.sessions) session.destroy()
      await listener.close()
    })
    return listener
  }
  const old = await serve('old')
  const { port } = await startSimpleProxy(t, [`shm://${path}`])
  const client = await dial(t, port)
  const ask = async () => {
    client.write(GET.replace('GET', 'POST'))
    await client.head()
    return client.take(3)
  }
  assert.equal(await ask(), 'old')
  await serve('new')
  await old.close()
  // Each session ends when its streams have; idle ones are the proxy's to give up.
  for (const session of old.sessions) void session.close()
  let name = 'old'
  while (name === 'old') name = await ask()
  assert.equal(name, 'new')
})

test('without shared memory the same app is served by sockets on the same path', async (t) => {
  const address = `shm://${temporaryDirectory(t)}/app.sock`
  await startApp(t, address.replace('shm://', 'unix://'))
  const { port, proxy } = await startSimpleProxy(t, [address], { proxy: { transportHeader: true } })
  const client = await dial(t, port)
  client.write(GET)
  assert.match(await client.head(), /^HTTP\/1\.1 200 .*X-Shmesh-Transport: socket\r\n/s)
  assert.equal(proxy.statistics().requests.transport.socket, 1)
})
