/** A foreign program is the HTTP server, our dispatcher or session the client. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { pattern } from '../support/pattern.ts'
import { scene } from '../support/scene.ts'
import { agent, exchange, sessionTo, settled } from './ends.ts'
import { serveForeign, startForeign } from './peer.ts'
import { aroundSlices, OUR_SLICES } from './sizes.ts'

const SIZES = aroundSlices(OUR_SLICES)

const SERVERS = [
  { title: 'http.Serve on shmipc-go', program: 'go-peer', kind: 'http' },
  { title: 'http.Serve on shmnet', program: 'go-peer', kind: 'wrapped' },
  { title: 'hyper on shmipc-rs', program: 'rust-peer', kind: 'http' }
] as const

for (const { title, program, kind } of SERVERS) {
  test(`${title}: ShmAgent posts 1 B to 8 MiB, and 64 at once`, async (t) => {
    const here = await scene(t)
    const peer = await startForeign(t, here, program)
    if (peer === undefined) return
    await serveForeign(here, peer, { address: here.path, kind })
    const dispatcher = agent(here)
    const post = async (path: string, body: Buffer) => {
      const answer = await dispatcher.request({
        origin: 'http://peer.local',
        path,
        method: 'POST',
        body
      })
      const got = Buffer.from(await answer.body.arrayBuffer())
      assert.equal(answer.statusCode, 200)
      assert.ok(got.equals(body), `${path}, ${body.length} bytes: ${got.length} came back`)
    }
    for (const size of SIZES) await post('/echo', pattern(size, size))
    // Chunked, and while it is still being sent.
    await post('/stream', pattern(300_000))
    await Promise.all(
      Array.from({ length: 64 }, async (_, i) => {
        for (const size of [1, 4097, 70_000]) await post('/echo', pattern(size, i + 1))
      })
    )
  })
}

test('Upgrade of a Go server behind shmnet: the hijacked stream answers at once', async (t) => {
  const here = await scene(t)
  const peer = await startForeign(t, here, 'go-peer')
  if (peer === undefined) return
  await serveForeign(here, peer, { address: here.path, kind: 'wrapped' })
  const session = await sessionTo(here, here.path)
  const stream = session.openStream()
  stream.write('GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n')
  const [head] = await once(stream, 'data')
  assert.match(String(head), /^HTTP\/1\.1 101 /)
  stream.pause()
  assert.equal(String(await exchange(stream, Buffer.from('both ways'))), 'both ways')
  stream.destroy()
  await settled([session])
})

test('IdleTimeout of a Go server behind shmnet ends an idle stream', async (t) => {
  const here = await scene(t)
  const peer = await startForeign(t, here, 'go-peer')
  if (peer === undefined) return
  await serveForeign(here, peer, { address: here.path, kind: 'wrapped', idleMs: 100 })
  const session = await sessionTo(here, here.path)
  const stream = session.openStream()
  stream.resume().write('GET /echo HTTP/1.1\r\nHost: a\r\n\r\n')
  await once(stream, 'end')
  await settled([session])
})

test('a body that ends with its stream ends in order', async (t) => {
  const here = await scene(t)
  const peer = await startForeign(t, here, 'go-peer')
  if (peer === undefined) return
  await serveForeign(here, peer, { address: here.path, kind: 'wrapped' })
  const answer = await agent(here).request({
    origin: 'http://go.local',
    path: '/until-close',
    method: 'GET'
  })
  assert.equal(await answer.body.text(), 'until the end')
})
