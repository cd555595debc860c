import assert from 'node:assert/strict'
import type { Duplex } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { Link, listen } from '../../adapter/shmipc/index.ts'
import { eventually } from '../../adapter/test/support/eventually.ts'
import { Bytes } from './bytes.ts'
import {
  atEnd,
  dial,
  openConnections,
  startOrigin,
  startProxy,
  temporaryDirectory
} from './harness.ts'

const UPGRADE = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n'
const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n'

/** Switches, reads to the end of the client's direction, and ends its own behind that. */
async function serve(connection: Bytes): Promise<void> {
  await connection.head()
  connection.write(SWITCH)
  const asked = await connection.rest()
  connection.stream.end(`${asked.length} bytes`)
}

async function startApp(t: TestContext, kind: 'tcp' | 'shm', path: string): Promise<string> {
  if (kind === 'tcp') return (await startOrigin(t, serve)).address
  const listener = await listen({ path })
  listener.on('stream', (stream) => {
    serve(new Bytes(stream)).catch(() => stream.destroy())
  })
  atEnd(t, async () => {
    for (const session of listener.sessions) session.destroy()
    await listener.close()
  })
  return `shm://${path}`
}

async function openShared(t: TestContext, path: string): Promise<Duplex> {
  const link = new Link(path)
  atEnd(t, () => link.destroy())
  return (await link.connect()).stream
}

for (const from of ['tcp', 'shm'] as const) {
  for (const to of ['tcp', 'shm'] as const) {
    test(`a tunnel from ${from} to ${to} is over when both sides have ended it`, async (t) => {
      const directory = temporaryDirectory(t)
      const app = await startApp(t, to, `${directory}/app.sock`)
      const path = `${directory}/proxy.sock`
      const address = from === 'tcp' ? 'http://127.0.0.1:0' : `shm://${path}`
      const { proxy, port } = await startProxy(t, {
        listeners: [{ name: 'in', address, routes: [{ cluster: 'app' }] }],
        clusters: [{ name: 'app', endpoints: [{ address: app }] }]
      })
      const client = from === 'tcp' ? await dial(t, port) : new Bytes(await openShared(t, path))
      client.write(UPGRADE)
      await client.head()
      client.stream.end(Buffer.alloc(300_000))

      assert.equal(await client.rest(), '300000 bytes')
      const { requests } = proxy.statistics()
      assert.equal(requests.total, 1)
      await eventually('the proxy has nothing of it left', () => {
        const statistics = proxy.statistics()
        return statistics.requests.active === 0 && openConnections(statistics) === 0
      })
    })
  }
}
