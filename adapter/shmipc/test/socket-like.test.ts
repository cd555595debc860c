import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { scene } from '../../test/support/scene.ts'
import { closing, command, openSession } from './peer.ts'

test('resetAndDestroy() breaks the stream of the peer', async (t) => {
  const { session, peer } = await openSession(await scene(t))
  const stream = command(session, 'flood')
  const closed = closing(stream)
  await once(stream, 'data')

  assert.equal(stream.resetAndDestroy(), stream)
  assert.equal(stream.destroyed, true)
  assert.equal(await closed, undefined)
  assert.equal((await peer.call('outcomes', 1))[0]?.error, 'ECONNRESET')
})

test('readyState says which directions are open', async (t) => {
  const { session } = await openSession(await scene(t))
  const stream = command(session, 'hash')
  const closed = closing(stream)
  assert.equal(stream.readyState, 'open')
  assert.equal(stream.connecting || stream.pending, false)
  stream.end()
  assert.equal(stream.readyState, 'readOnly')
  stream.resume()
  assert.equal(await closed, undefined)
  assert.equal(stream.readyState, 'closed')

  const ended = command(session, 'end')
  const endedClosed = closing(ended)
  ended.resume()
  await once(ended, 'end')
  assert.equal(ended.readyState, 'writeOnly')
  ended.end()
  assert.equal(await endedClosed, undefined)
})
