/** Streams by shmipc's own rules: no credit, no half-close. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync, rmSync } from 'node:fs'
import { test } from 'node:test'
import { pattern, sha256 } from '../../test/support/pattern.ts'
import { type Scene, scene } from '../../test/support/scene.ts'
import { connect } from '../index.ts'
import { closing, command, type Pair, quiet, readAll, startPeer } from './peer.ts'

async function openPlainSession(scene: Scene): Promise<Pair> {
  const peer = await startPeer(scene)
  await peer.call('listen', { path: scene.path })
  scene.defer(() => (peer.running ? peer.call('closeListeners') : undefined))
  const session = await connect(scene.path, { plain: true })
  scene.defer(async () => {
    if (!session.closed) await quiet(session)
    session.destroy()
  })
  return { peer, session }
}

test('both ends know that the other is plain', async (t) => {
  const { session } = await openPlainSession(await scene(t))

  assert.equal(session.peer, 'shmipc')
  const body = pattern(200_000)
  const stream = command(session, 'echo')
  const chunks: Buffer[] = []
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  stream.write(body)
  while (stream.bytesRead < body.length) await once(stream, 'data')
  assert.equal(sha256(Buffer.concat(chunks)), sha256(body))
  stream.destroy()
})

test('a reader gets all that its peer wrote before it closed, however late it reads', async (t) => {
  const { session } = await openPlainSession(await scene(t))
  const stream = command(session, 'leave 50000')
  stream.pause()
  await once(stream, 'readable')
  // The close has come, too, when another stream's answer has.
  const later = command(session, 'leave 1')
  await readAll(later)
  assert.equal(stream.destroyed, false)

  assert.equal(sha256(await readAll(stream)), sha256(pattern(50_000)))
})

test('a peer that turns out to be dead when it is to be woken', async (t) => {
  const { session, peer } = await openPlainSession(await scene(t))
  const stream = command(session, 'ignore')
  stream.resume()
  const closed = closing(stream)
  await once(stream, 'data')
  await peer.call('seen')
  peer.signal('SIGKILL')
  // Our event loop has not seen its socket end when the wake-up is written to it.
  while (!/^State:\tZ/m.test(readFileSync(`/proc/${peer.pid}/status`, 'latin1'))) {}
  stream.write('more')

  assert.equal((await closed)?.code, 'ECONNRESET')
  await peer.ended()
  rmSync(session.path)
})
