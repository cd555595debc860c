/** A foreign program is the client of bytes without HTTP, our listener the server. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually } from '../support/eventually.ts'
import { scene } from '../support/scene.ts'
import { echoServer, settled } from './ends.ts'
import { type Echoed, PEERS, startForeign } from './peer.ts'
import { aroundSlices, FOREIGN_SLICES } from './sizes.ts'

const SIZES = aroundSlices(FOREIGN_SLICES)

/** How a client can bring its memory. */
const WAYS = [
  { title: 'memfd', dial: {} },
  { title: 'files, protocol 2', dial: { files: true } },
  { title: 'files, over TCP', dial: { files: true, network: 'tcp' } }
]

for (const { library, program } of PEERS) {
  for (const { title, dial } of WAYS) {
    test(`${library}, ${title}: bytes around every slice boundary`, async (t) => {
      const here = await scene(t)
      const peer = await startForeign(t, here, program)
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

  test(`${library}: 64 streams at once`, async (t) => {
    const here = await scene(t)
    const peer = await startForeign(t, here, program)
    if (peer === undefined) return
    const listener = await echoServer(here)
    // More than 2 x 64 of each slice, so that no message goes by the socket; and little in all, since
    // shmipc-rs makes it within the second of the handshake.
    const slices = [
      { size: 8172, percent: 5 },
      { size: 32_748, percent: 15 },
      { size: 131_052, percent: 80 }
    ]
    await peer.call('dial', { name: 'a', address: here.path, memory: 40 << 20, slices })
    const sizes = [1, 64, 4096, 8172, 8173, 40_000, 131_052]
    const echoed: Echoed = await peer.call('echo', { name: 'a', streams: 64, rounds: 10, sizes })
    assert.equal(echoed.messages, 64 * 10 * sizes.length)
    await settled(listener.sessions)
  })

  test(`${library}: pooled streams are used again`, async (t) => {
    const here = await scene(t)
    const peer = await startForeign(t, here, program)
    if (peer === undefined) return
    const listener = await echoServer(here)
    await peer.call('dial', { name: 'a', address: here.path })
    assert.equal(await peer.call('pooled', { name: 'a' }), 1)
    await settled(listener.sessions)
  })

  test(`${library}: messages larger than the memory go and come by the socket`, async (t) => {
    const here = await scene(t)
    const peer = await startForeign(t, here, program)
    if (peer === undefined) return
    const listener = await echoServer(here)
    await peer.call('dial', { name: 'a', address: here.path, memory: 1 << 20 })
    const sizes = [1, 4_000_000, 8 << 20, 1, 100_000]
    await peer.call('echo', { name: 'a', streams: 1, rounds: 2, sizes })
    await settled(listener.sessions)
    const [session] = listener.sessions
    const { fallbackMessages, fallbackBytes } = session!.statistics()
    assert.ok(fallbackMessages > 0, 'its stream is answered by the socket')
    assert.ok(fallbackBytes >= 4_000_000, `${fallbackBytes} bytes`)
  })

  test(`${library}: closes and data race`, async (t) => {
    const here = await scene(t)
    const peer = await startForeign(t, here, program)
    if (peer === undefined) return
    const listener = await echoServer(here)
    await peer.call('dial', { name: 'a', address: here.path })
    await peer.call('raceClose', { name: 'a', streams: 2000, size: 3000 })
    await settled(listener.sessions)
    // The session is as good as new.
    await peer.call('echo', { name: 'a', streams: 4, rounds: 4, sizes: [1, 8173, 200_000] })
    await settled(listener.sessions)
  })

  test(`${library}: several sessions of one client`, async (t) => {
    const here = await scene(t)
    const peer = await startForeign(t, here, program)
    if (peer === undefined) return
    const listener = await echoServer(here)
    await peer.call('dial', { name: 'a', address: here.path, sessions: 4 })
    await peer.call('echo', { name: 'a', streams: 128, rounds: 4, sizes: [1, 8173, 30_000] })
    assert.equal(listener.sessions.size, 4)
    await settled(listener.sessions)
  })
}

test('shmipc-rs: an offer of the fourth protocol is refused at once, and the third taken', async (t) => {
  const here = await scene(t)
  const peer = await startForeign(t, here, 'rust-peer')
  if (peer === undefined) return
  const listener = await echoServer(here)
  await peer.call('dial', { name: 'a', address: here.path, v4: true })
  await peer.call('echo', { name: 'a', streams: 4, rounds: 4, sizes: [1, 8173, 30_000] })
  await settled(listener.sessions)
})
