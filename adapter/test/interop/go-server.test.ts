/** A Go program is the server, our session or dispatcher the client. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdirSync, statSync } from 'node:fs'
import { test } from 'node:test'
import type { ConnectOptions } from '../../shmipc/index.ts'
import { pattern } from '../support/pattern.ts'
import { scene } from '../support/scene.ts'
import { agent, exchange, sessionTo, settled } from './ends.ts'
import { serveGo, startForeign } from './peer.ts'
import { aroundSlices } from './sizes.ts'

/** Of a session of ours. */
const OUR_SLICES = [4096, 32_768, 262_144, 1_048_576, 4_194_304]
const SIZES = aroundSlices(OUR_SLICES).filter((size) => size <= 8 << 20)

const WAYS: readonly { title: string; options: ConnectOptions; files: boolean }[] = [
  { title: 'memfd', options: {}, files: false },
  { title: 'files, protocol 3', options: { sharing: 'file' }, files: true },
  { title: 'files, protocol 2', options: { sharing: 'file-v2' }, files: true }
]

for (const { title, options, files } of WAYS) {
  test(`echo, ${title}: bytes around every slice boundary`, async (t) => {
    const here = await scene(t)
    const peer = await startForeign(t, here, 'go-peer')
    if (peer === undefined) return
    await serveGo(here, peer, { address: here.path, kind: 'echo', files })
    const before = ourFiles()
    const session = await sessionTo(here, here.path, { memory: '32MiB', ...options })
    for (const file of ourFiles().filter((name) => !before.includes(name))) {
      assert.equal(statSync(`/dev/shm/${file}`).mode & 0o777, 0o600)
    }
    const stream = session.openStream()
    for (const size of SIZES) {
      const body = pattern(size, size)
      assert.ok(body.equals(await exchange(stream, body)), `${size} bytes`)
    }
    assert.deepEqual(ourFiles(), before, 'the files are gone while they are used')
    stream.destroy()
    await settled([session])
    session.destroy()
  })
}

test('echo, files over TCP', async (t) => {
  const here = await scene(t)
  const peer = await startForeign(t, here, 'go-peer')
  if (peer === undefined) return
  const port = await serveGo(here, peer, {
    network: 'tcp',
    address: '127.0.0.1:0',
    kind: 'echo',
    files: true
  })
  const session = await sessionTo(here, `shm://127.0.0.1:${port}`, { memory: '8MiB' })
  const stream = session.openStream()
  for (const size of [1, 4096, 4097, 300_000]) {
    const body = pattern(size, size)
    assert.ok(body.equals(await exchange(stream, body)), `${size} bytes`)
  }
  stream.destroy()
  await settled([session])
})

test('http.Serve on shmipc-go: ShmAgent posts 1 B to 8 MiB, and 64 at once', async (t) => {
  const here = await scene(t)
  const peer = await startForeign(t, here, 'go-peer')
  if (peer === undefined) return
  await serveGo(here, peer, { address: here.path, kind: 'http' })
  const dispatcher = agent(here)
  const post = async (path: string, body: Buffer) => {
    const answer = await dispatcher.request({
      origin: 'http://go.local',
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

test('Upgrade of a Go server behind shmnet: the hijacked stream answers at once', async (t) => {
  const here = await scene(t)
  const peer = await startForeign(t, here, 'go-peer')
  if (peer === undefined) return
  await serveGo(here, peer, { address: here.path, kind: 'wrapped' })
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
  await serveGo(here, peer, { address: here.path, kind: 'wrapped', idleMs: 100 })
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
  await serveGo(here, peer, { address: here.path, kind: 'wrapped' })
  const answer = await agent(here).request({
    origin: 'http://go.local',
    path: '/until-close',
    method: 'GET'
  })
  assert.equal(await answer.body.text(), 'until the end')
})

function ourFiles(): string[] {
  return readdirSync('/dev/shm').filter((name) => name.startsWith('shmesh_'))
}
