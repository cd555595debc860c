import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { test } from 'node:test'
import { Bytes } from './bytes.ts'
import {
  answering,
  atEnd,
  dial,
  ok,
  refusing,
  startOrigin,
  startSimpleProxy,
  temporaryDirectory
} from './harness.ts'

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'

test('running requests end first, on connections that are then closed', async (t) => {
  let release: (() => void) | undefined
  const running = new Promise<void>((resolve) => {
    release = resolve
  })
  const started = new Promise<void>((resolve) => {
    void startOrigin(t, async (connection) => {
      for (;;) {
        await connection.head()
        resolve()
        await running
        connection.write(ok('done'))
      }
    }).then((origin) => originReady?.(origin.address))
  })
  let originReady: ((address: string) => void) | undefined
  const address = await new Promise<string>((resolve) => {
    originReady = resolve
  })
  const { port, proxy } = await startSimpleProxy(t, [address], { proxy: { drainTimeout: '5s' } })
  const idle = await dial(t, port)
  const busy = await dial(t, port)
  busy.write(GET)
  await started

  const drained = proxy.drain()
  // A connection that was idle may ask once more before it is closed.
  idle.write(GET)
  assert.equal(proxy.ready, false)
  await refusing(port)
  release?.()
  assert.match(await busy.head(), /^HTTP\/1\.1 200 .*Connection: close/s)
  assert.equal(await busy.rest(), 'done')
  assert.match(await idle.head(), /^HTTP\/1\.1 200 .*Connection: close/s)
  assert.equal(await idle.rest(), 'done')
  idle.stream.destroy()
  busy.stream.destroy()
  assert.equal(await drained, true)
})

test('while the word spreads, new connections are served and told to close', async (t) => {
  const origin = await startOrigin(
    t,
    answering(() => ok('x'))
  )
  const options = { proxy: { drainDelay: '2s' } }
  const { port, proxy } = await startSimpleProxy(t, [origin.address], options)

  const drained = proxy.drain()
  assert.deepEqual(await proxy.unready(), ['draining'])
  const client = await dial(t, port)
  client.write(GET)
  assert.match(await client.head(), /^HTTP\/1\.1 200 .*Connection: close/s)
  assert.equal(await client.rest(), 'x')
  client.stream.destroy()
  assert.equal(await drained, true)
  await refusing(port)
})

test('what still runs at the deadline is cut off', async (t) => {
  const origin = await startOrigin(t, async (connection) => {
    await connection.gone()
  })
  const options = { proxy: { drainTimeout: '100ms' } }
  const { port, proxy } = await startSimpleProxy(t, [origin.address], options)
  const client = await dial(t, port)
  client.write(GET)
  while (proxy.statistics().requests.active === 0) {
    await new Promise((resolve) => setImmediate(resolve))
  }
  assert.equal(await proxy.drain(), false)
  assert.ok(await client.brokenOff())
  assert.equal(proxy.statistics().requests.active, 0)
  assert.deepEqual(proxy.statistics().requests.failures, { drain_deadline: 1 })
})

test('when one listener cannot be bound, none is', async (t) => {
  const origin = await startOrigin(t, () => undefined)
  const { proxy } = await startSimpleProxy(t, [origin.address])
  const taken = proxy.addresses[0]?.address as string
  await assert.rejects(startSimpleProxy(t, [origin.address], { proxy: { admin: taken } }), {
    code: 'SHM_ERR_ADDRESS_IN_USE',
    message: /^admin: listen EADDRINUSE: .*127\.0\.0\.1:\d+; stop what listens there/
  })
})

test('who was connected before the listener stopped is served', async (t) => {
  const path = `${temporaryDirectory(t)}/in.sock`
  const origin = await startOrigin(
    t,
    answering(() => ok('done'))
  )
  const { proxy } = await startSimpleProxy(t, [origin.address], {
    listener: { address: `unix://${path}` }
  })
  // Connects at once, and is accepted in a later turn.
  const client = new Bytes(connect(path))
  atEnd(t, () => client.stream.destroy())
  client.write(GET)
  const drained = proxy.drain()
  assert.match(await client.rest(), /^HTTP\/1\.1 200 .*Connection: close.*done$/s)
  assert.ok(await drained)
})
