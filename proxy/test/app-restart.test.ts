/** An app whose successor has its path already, and who still has requests of it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { listen } from '../../adapter/shmipc/index.ts'
import { eventually } from '../../adapter/test/support/eventually.ts'
import { Bytes } from './bytes.ts'
import { atEnd, dial, ok, startSimpleProxy, temporaryDirectory } from './harness.ts'

const POST = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n'

test('who waits for a connection does not get one whose server is going', async (t) => {
  const path = `${temporaryDirectory(t)}/app.sock`
  let begun = 0
  let answer = () => {}
  const answered = new Promise<void>((resolve) => {
    answer = resolve
  })
  const serve = async (name: string) => {
    const listener = await listen({ path, takeover: true })
    listener.on('stream', async (stream) => {
      const connection = new Bytes(stream)
      for (;;) {
        if ((await connection.head().catch(() => '')) === '') return
        begun++
        await answered
        connection.write(ok(name))
      }
    })
    atEnd(t, async () => {
      for (const session of listener.sessions) session.destroy()
      await listener.close()
    })
    return listener
  }
  const old = await serve('old')
  const cluster = { connections: 1 }
  const { port, proxy } = await startSimpleProxy(t, [`shm://${path}`], { cluster })
  const [first, second] = [await dial(t, port), await dial(t, port)]
  first.write(POST)
  await eventually('the first is asked', () => begun === 1)
  second.write(POST)
  const inFlight = () => proxy.statistics().clusters[0]?.endpoints[0]?.inFlight
  await eventually('the second waits', () => inFlight() === 2)

  await serve('new')
  await old.close()
  for (const session of old.sessions) await session.leave()
  answer()
  await first.head()
  assert.equal(await first.take(3), 'old')
  await second.head()
  assert.equal(await second.take(3), 'new')
})
