/** Apps that are killed while requests are running. */
import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import type { MeshProxy } from '../index.ts'
import { dial, quiet, startSimpleProxy, temporaryDirectory } from './harness.ts'
import { startApp } from './processes.ts'

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'

interface Load {
  /** Status lines, in the order the answers came. */
  readonly statuses: number[]
  /** Resolves when this many answers have come. */
  reached(count: number): Promise<void>
  stop(): Promise<void>
}

/** `clients` connections, each with one idempotent request after the other. */
async function startLoad(t: TestContext, port: number, clients: number): Promise<Load> {
  const statuses: number[] = []
  let stopped = false
  let wake: (() => void) | undefined
  const run = async () => {
    let client = await dial(t, port)
    while (!stopped) {
      client.write(GET)
      const head = await client.head()
      await client.take(Number(/content-length: (\d+)/i.exec(head)?.[1]))
      statuses.push(Number(head.slice(9, 12)))
      if (/connection: close/i.test(head)) client = await dial(t, port)
      wake?.()
    }
  }
  const running = Promise.all(Array.from({ length: clients }, run))
  return {
    statuses,
    async reached(count) {
      while (statuses.length < count) {
        const next = new Promise<void>((resolve) => {
          wake = resolve
        })
        await Promise.race([next, running])
      }
    },
    async stop() {
      stopped = true
      await running
    }
  }
}

function slicesInUse(proxy: MeshProxy): number {
  let slices = 0
  for (const cluster of proxy.statistics().clusters) {
    for (const endpoint of cluster.endpoints) slices += endpoint.link?.session?.slicesInUse ?? 0
  }
  return slices
}

for (const scheme of ['shm', 'unix'] as const) {
  test(`${scheme}: killing one of two apps is not seen by idempotent requests`, async (t) => {
    const directory = temporaryDirectory(t)
    const addresses = [`${scheme}://${directory}/a.sock`, `${scheme}://${directory}/b.sock`]
    const [first] = await Promise.all(addresses.map((address) => startApp(t, address)))
    const { port, proxy } = await startSimpleProxy(t, addresses)
    const load = await startLoad(t, port, 16)
    await load.reached(300)
    await first?.kill()
    await load.reached(load.statuses.length + 1500)
    await load.stop()

    assert.deepEqual(
      load.statuses.filter((status) => status !== 200),
      []
    )
    assert.ok(proxy.statistics().requests.retries > 0)
    const [dead, alive] = proxy.statistics().clusters[0]?.endpoints ?? []
    assert.equal(dead?.ejected, true)
    assert.ok((alive?.requests ?? 0) > 1500)
    await quiet(() => slicesInUse(proxy) === 0)
    assert.equal(slicesInUse(proxy), 0)
  })

  test(`${scheme}: killing the only app gives 502 and 503 at once, and 200 when it is back`, async (t) => {
    const address = `${scheme}://${temporaryDirectory(t)}/app.sock`
    const app = await startApp(t, address)
    const { port, proxy } = await startSimpleProxy(t, [address], {
      proxy: { transportHeader: true }
    })
    const load = await startLoad(t, port, 8)
    await load.reached(200)
    await app.kill()
    const before = load.statuses.length
    await load.reached(before + 100)
    const after = load.statuses.slice(before)
    assert.ok(after.includes(503))
    assert.deepEqual(
      after.filter((status) => ![200, 502, 503].includes(status)),
      []
    )

    if (scheme === 'unix') rmSync(address.slice('unix://'.length))
    await startApp(t, address)
    const back = load.statuses.length
    await load.reached(back + 200)
    await load.stop()
    assert.ok(load.statuses.slice(-100).every((status) => status === 200))
    const client = await dial(t, port)
    client.write(GET)
    const label = scheme === 'shm' ? 'shm' : 'socket'
    assert.match(
      await client.head(),
      new RegExp(`^HTTP/1\\.1 200 .*Transport: ${label}\\r\\n`, 's')
    )
    assert.ok((proxy.statistics().requests.failures.upstream_unreachable ?? 0) > 0)
  })
}

test('an app that is killed during an upload and a download ends both', async (t) => {
  const address = `shm://${temporaryDirectory(t)}/app.sock`
  const app = await startApp(t, address)
  const { port, proxy } = await startSimpleProxy(t, [address])
  const upload = await dial(t, port)
  upload.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nsome')
  const download = await dial(t, port)
  const size = 64 * 1024 * 1024
  download.write(`GET /${size} HTTP/1.1\r\nHost: a\r\n\r\n`)
  await download.head()
  download.stream.pause()
  await app.kill()
  assert.match(await upload.head(), /^HTTP\/1\.1 502 .*upstream_reset/s)
  download.stream.resume()
  await download.gone()
  assert.ok(download.pending.length < size, 'the download is whole')
  await quiet(() => proxy.statistics().requests.active === 0)
  assert.equal(proxy.statistics().requests.failures.upstream_reset, 2)
})
