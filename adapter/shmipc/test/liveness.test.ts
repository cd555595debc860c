import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { scene } from '../../test/support/scene.ts'
import { connect } from '../index.ts'
import { command, openSession, quiet, readAll, startPeer } from './peer.ts'

test('a peer that is stopped is given up, one that is busy is waited for', async (t) => {
  const stage = await scene(t)
  const { session, peer } = await openSession(stage)
  const busyPath = `${stage.path}.busy`
  const busyPeer = await startPeer(stage)
  await busyPeer.call('listen', { path: busyPath })
  stage.defer(() => busyPeer.call('closeListeners'))
  const busy = await connect(busyPath)
  stage.defer(async () => {
    await quiet(busy)
    busy.destroy()
  })
  const still = busyPeer.standsStill()
  await busyPeer.call('block')
  await still
  await peer.stop()

  // Both have work before them from here on.
  const waiting = command(busy, 'hash')
  const answer = readAll(waiting)
  waiting.end('work')
  const stream = command(session, 'hash')
  const failed = once(stream, 'error')
  const [reason] = (await once(session, 'close')) as [NodeJS.ErrnoException]
  peer.signal('SIGCONT')

  assert.equal(reason.code, 'SHM_ERR_TIMEOUT')
  assert.match(
    reason.message,
    /\(pid \d+\).* is silent: it has taken nothing for \d+ s and is stopped/
  )
  assert.equal((await failed)[0].code, 'ECONNRESET')
  assert.equal(busy.closed, false)
  busyPeer.openGate()
  assert.match((await answer).toString(), /^4 /)
})
