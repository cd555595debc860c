/** Clients that are slow, and upstreams whose slowness is not theirs. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Bytes } from './bytes.ts'
import { dial, ok, startOrigin, startSimpleProxy, temporaryDirectory } from './harness.ts'
import { startApp } from './processes.ts'

const BODY = 'x'.repeat(8 * 1024 * 1024)
const POST = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf'

test('clients that are slow to take their last response get all of it', async (t) => {
  const address = `shm://${temporaryDirectory(t)}/app.sock`
  await startApp(t, address)
  // Longer than a closed connection lingers.
  const listener = { timeouts: { head: '3s' } }
  const { port } = await startSimpleProxy(t, [address], { listener })
  // Of some the proxy has the end, and the kernel no room for it.
  const sizes = Array.from({ length: 16 }, (_, i) => (i + 1) * 500_000)
  const clients: Bytes[] = []
  for (const size of sizes) {
    const client = await dial(t, port)
    client.write(last(size))
    await client.head()
    client.stream.pause()
    clients.push(client)
  }
  const silent = await dial(t, port)
  assert.equal(await silent.rest(), '')
  for (const client of clients) client.stream.resume()
  const taken = await Promise.all(clients.map(async (client) => (await client.rest()).length))
  assert.deepEqual(taken, sizes)
})

test('the time an upstream took is not taken from the client, who has to read its answer', async (t) => {
  let answer = () => {}
  const origin = await startOrigin(t, async (connection) => {
    if (/^POST/.test(await connection.head())) return
    await new Promise<void>((resolve) => {
      answer = resolve
    })
    connection.write(ok(BODY))
  })
  const listener = { timeouts: { body: '2s', head: '200ms' } }
  const { port } = await startSimpleProxy(t, [origin.address], { listener })
  const client = await dial(t, port)
  client.write(last(BODY.length))
  const stopped = await dial(t, port)
  stopped.write(POST)
  assert.match(await stopped.rest(), /^HTTP\/1\.1 408 /)

  answer()
  await client.head()
  client.stream.pause()
  // Deadlines are looked at, more than once, while the client does not read.
  const silent = await dial(t, port)
  assert.equal(await silent.rest(), '')
  client.stream.resume()
  assert.equal((await client.rest()).length, BODY.length)
})

test('a request that waits until its client reads on is no idle connection', async (t) => {
  const address = `shm://${temporaryDirectory(t)}/app.sock`
  await startApp(t, address)
  const listener = { timeouts: { idle: '100ms' } }
  const { port } = await startSimpleProxy(t, [address], { listener })
  const sizes = Array.from({ length: 16 }, (_, i) => (i + 1) * 500_000)
  const clients: Bytes[] = []
  for (const size of sizes) {
    const client = await dial(t, port)
    client.write(`GET /${size} HTTP/1.1\r\nHost: a\r\n\r\n${last(7)}`)
    await client.head()
    client.stream.pause()
    clients.push(client)
  }
  // The same time passes for another client, more than once.
  for (let i = 0; i < 3; i++) {
    const other = await dial(t, port)
    other.write('GET /1 HTTP/1.1\r\nHost: a\r\n\r\n')
    await other.rest()
  }
  for (const client of clients) client.stream.resume()
  const seen = clients.map(async (client, i) => {
    await client.take(sizes[i]!)
    return /^HTTP\/1\.1 200 .*\r\n\r\n.{7}$/s.test(await client.rest())
  })
  assert.deepEqual(
    await Promise.all(seen),
    sizes.map(() => true)
  )
})

function last(bytes: number): string {
  return `GET /${bytes} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`
}
