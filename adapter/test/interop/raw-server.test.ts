/** A foreign program is the server of bytes without HTTP, our session the client. */
import assert from 'node:assert/strict'
import { statSync } from 'node:fs'
import { test } from 'node:test'
import type { ConnectOptions } from '../../shmipc/index.ts'
import { memoryFiles, namedMemoryFiles } from '../support/memory-files.ts'
import { pattern } from '../support/pattern.ts'
import { scene } from '../support/scene.ts'
import { exchange, sessionTo, settled } from './ends.ts'
import { PEERS, serveForeign, startForeign } from './peer.ts'
import { aroundSlices, OUR_SLICES } from './sizes.ts'

const SIZES = aroundSlices(OUR_SLICES)

const WAYS: readonly { title: string; options: ConnectOptions; files: boolean }[] = [
  { title: 'memfd', options: {}, files: false },
  { title: 'files, protocol 3', options: { sharing: 'file' }, files: true },
  { title: 'files, protocol 2', options: { sharing: 'file-v2' }, files: true }
]

for (const { library, program } of PEERS) {
  for (const { title, options, files } of WAYS) {
    test(`${library}, ${title}: bytes around every slice boundary`, async (t) => {
      const here = await scene(t)
      const peer = await startForeign(t, here, program)
      if (peer === undefined) return
      await serveForeign(here, peer, { address: here.path, kind: 'echo', files })
      const session = await sessionTo(here, here.path, { memory: '32MiB', ...options })
      assert.equal(memoryFiles().size > 0, files)
      for (const file of namedMemoryFiles()) {
        const mode = statSync(file).mode & 0o777
        // A server in Rust opens what it finds to everybody, by then or a little later.
        if (library !== 'shmipc-rs' || mode !== 0o777) assert.equal(mode, 0o600)
      }
      const stream = session.openStream()
      for (const size of SIZES) {
        const body = pattern(size, size)
        assert.ok(body.equals(await exchange(stream, body)), `${size} bytes`)
      }
      assert.deepEqual(namedMemoryFiles(), [], 'the files are gone while they are used')
      stream.destroy()
      await settled([session])
      session.destroy()
    })
  }

  test(`${library}, files over TCP`, async (t) => {
    const here = await scene(t)
    const peer = await startForeign(t, here, program)
    if (peer === undefined) return
    const port = await serveForeign(here, peer, {
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

  test(`${library}: 64 streams at once`, async (t) => {
    const here = await scene(t)
    const peer = await startForeign(t, here, program)
    if (peer === undefined) return
    await serveForeign(here, peer, { address: here.path, kind: 'echo' })
    const session = await sessionTo(here, here.path)
    await Promise.all(
      Array.from({ length: 64 }, async (_, i) => {
        const stream = session.openStream()
        for (const size of [1, 4097, 40_000]) {
          const body = pattern(size, i + 1)
          assert.ok(body.equals(await exchange(stream, body)), `stream ${i}, ${size} bytes`)
        }
        stream.destroy()
      })
    )
    await settled([session])
  })

  test(`${library}: a body larger than the memory keeps its order, by ring and socket`, async (t) => {
    const here = await scene(t)
    const peer = await startForeign(t, here, program)
    if (peer === undefined) return
    await serveForeign(here, peer, { address: here.path, kind: 'echo' })
    // The server turns to the socket at a moment of its own, and our end with it.
    for (let round = 0; round < 12; round++) {
      const session = await sessionTo(here, here.path, { memory: '1MiB' })
      const stream = session.openStream()
      for (const size of [8_000_000, 1]) {
        const body = pattern(size, round + 1)
        assert.ok(body.equals(await exchange(stream, body)), `${size} bytes, round ${round}`)
      }
      stream.destroy()
      await settled([session])
      session.destroy()
    }
  })

  test(`${library}: closes and data race`, async (t) => {
    const here = await scene(t)
    const peer = await startForeign(t, here, program)
    if (peer === undefined) return
    await serveForeign(here, peer, { address: here.path, kind: 'echo' })
    const session = await sessionTo(here, here.path)
    const message = pattern(3000)
    for (let i = 0; i < 500; i++) {
      const stream = session.openStream()
      // Half of them when the answer is on its way.
      if (i % 2 === 0) await exchange(stream, message.subarray(0, 1))
      stream.write(message)
      stream.destroy()
    }
    await settled([session])
    const last = session.openStream()
    assert.ok(message.equals(await exchange(last, message)))
    last.destroy()
    await settled([session])
  })
}
