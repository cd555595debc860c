/** A Go program is the client, our listener or plugin the server. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually } from '../support/eventually.ts'
import { scene } from '../support/scene.ts'
import { app, echoServer, settled } from './ends.ts'
import { type Answered, type Echoed, startForeign } from './peer.ts'
import { aroundSlices, GO_SLICES } from './sizes.ts'

const SIZES = aroundSlices(GO_SLICES)

/** How a Go client can bring its memory. */
const WAYS = [
  { title: 'memfd', dial: {} },
  { title: 'files, protocol 2', dial: { files: true } },
  { title: 'files, over TCP', dial: { files: true, network: 'tcp' } }
]

for (const { title, dial } of WAYS) {
  test(`echo, ${title}: bytes around every slice boundary`, async (t) => {
    const here = await scene(t)
    const peer = await startForeign(t, here, 'go-peer')
    if (peer === undefined) return
    const path = 'network' in dial ? 'shm://127.0.0.1:0' : here.path
    const listener = await echoServer(here, { path })
    await peer.call('dial', { name: 'a', address: listener.path, ...dial })
    for (const how of ['conn', 'buffer']) {
      const echoed: Echoed = await peer.call('echo', {
        name: 'a',
        streams: 1,
        rounds: 1,
        how,
        sizes: SIZES
      })
      assert.equal(echoed.messages, SIZES.length)
    }
    await settled(listener.sessions)
    await peer.call('hangUp', { name: 'a' })
    await eventually('its session is gone', () => listener.sessions.size === 0)
  })
}

test('echo: 64 streams at once', async (t) => {
  const here = await scene(t)
  const peer = await startForeign(t, here, 'go-peer')
  if (peer === undefined) return
  const listener = await echoServer(here)
  // More than 64 of each slice, so that none of the client's messages goes by the socket.
  await peer.call('dial', { name: 'a', address: here.path, memory: 256 << 20 })
  const sizes = [1, 64, 4096, 8172, 8173, 40_000, 131_053]
  const echoed: Echoed = await peer.call('echo', { name: 'a', streams: 64, rounds: 10, sizes })
  assert.equal(echoed.messages, 64 * 10 * sizes.length)
  await settled(listener.sessions)
})

test('pooled streams of shmipc-go are used again', async (t) => {
  const here = await scene(t)
  const peer = await startForeign(t, here, 'go-peer')
  if (peer === undefined) return
  const listener = await echoServer(here)
  await peer.call('dial', { name: 'a', address: here.path })
  assert.equal(await peer.call('pooled', { name: 'a' }), 1)
  await settled(listener.sessions)
})

for (const wrapped of [false, true]) {
  const title = wrapped ? 'shmnet' : 'bare streams'

  test(`net/http over ${title} to the plugin: bodies of 1 B to 8 MiB`, async (t) => {
    const here = await scene(t)
    const peer = await startForeign(t, here, 'go-peer')
    if (peer === undefined) return
    await app(here)
    const args = { address: here.path, url: 'http://app/echo', method: 'POST', wrapped }
    const answered: Answered = await peer.call('request', {
      ...args,
      sizes: SIZES,
      rounds: 1,
      concurrent: 1
    })
    assert.equal(answered.answered, SIZES.length)
    assert.equal(answered.streams, 1, 'one stream is kept alive')
  })

  test(`net/http over ${title} to the plugin: 64 at once`, async (t) => {
    const here = await scene(t)
    const peer = await startForeign(t, here, 'go-peer')
    if (peer === undefined) return
    await app(here)
    const answered: Answered = await peer.call('request', {
      address: here.path,
      url: 'http://app/echo',
      method: 'POST',
      wrapped,
      sizes: [1, 1000, 8173, 100_000],
      rounds: 10,
      concurrent: 64
    })
    assert.equal(answered.answered, 64 * 10 * 4)
  })
}
