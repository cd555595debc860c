/** Servers that are replaced under load, both ways round: nothing is lost. */
import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { Link, type ShmListener } from '../../shmipc/index.ts'
import { eventually } from '../support/eventually.ts'
import { pattern } from '../support/pattern.ts'
import { scene } from '../support/scene.ts'
import { echoServer, exchange } from './ends.ts'
import { startForeign } from './peer.ts'

interface Load {
  readonly done: number
  readonly failed: number
  readonly failures: readonly string[]
}

test('hot restart of our listener: a loaded shmipc-go client loses nothing', async (t) => {
  const here = await scene(t)
  const peer = await startForeign(t, here, 'go-peer')
  if (peer === undefined) return
  let listener = await echoServer(here)
  await peer.call('dial', { name: 'a', address: here.path, sessions: 2 })
  await peer.call('load', { name: 'a', workers: 16, size: 2000 })
  for (let restart = 0; restart < 3; restart++) {
    await eventually('the load goes on', () => received(listener) > 400)
    const old = listener
    listener = await echoServer(here, { takeover: true })
    await old.close()
    const sessions = [...old.sessions]
    assert.ok(sessions.length > 0)
    await Promise.all(sessions.map((session) => session.leave()))
    await eventually('the client is here', () => listener.sessions.size === 2)
    // What was under way when it agreed.
    for (const session of sessions) await idle(() => session.statistics().eventsReceived ?? 0)
    for (const session of sessions) session.destroy()
  }
  const load: Load = await peer.call('endLoad', { name: 'a' })
  assert.equal(load.failed, 0, String(load.failures))
  assert.ok(load.done > 1000, `${load.done} messages`)
  await peer.call('hangUp', { name: 'a' })
})

test('hot restart of a shmipc-go server: our loaded link loses nothing', async (t) => {
  const here = await scene(t)
  const first = await startForeign(t, here, 'go-peer')
  const second = await startForeign(t, here, 'go-peer')
  if (first === undefined || second === undefined) return
  await first.call('serve', { name: 's', address: here.path, kind: 'echo' })
  const link = new Link(here.path)
  here.defer(() => link.destroy())
  let ending = false
  let done = 0
  const worker = async (seed: number) => {
    for (let round = 0; !ending; round++) {
      const { stream, transport } = await link.connect()
      assert.equal(transport, 'shm')
      const body = pattern(3000, seed * 1_000_000 + round)
      assert.ok(body.equals(await exchange(stream as never, body)))
      stream.destroy()
      done++
    }
  }
  const workers = Array.from({ length: 8 }, (_, i) => worker(i))
  await eventually('the load goes on', () => done > 100)
  await second.call('serve', { name: 's', address: here.path, kind: 'echo', beside: true })
  await first.call('restart', { name: 's', epoch: 77 })
  const before = done
  await eventually('the load goes on', () => done > before + 100)
  ending = true
  await Promise.all(workers)
  link.destroy()
  await second.call('stop', { name: 's' }).catch(() => undefined)
  rmSync(here.path, { force: true })
})

/** Events that have come from the clients of `listener`. */
function received(listener: ShmListener): number {
  const sessions = [...listener.sessions]
  return sessions.reduce((sum, one) => sum + (one.statistics().eventsReceived ?? 0), 0)
}

/** Until `count` has not changed for 100 ms: nothing tells that a Go client has nothing under way. */
async function idle(count: () => number): Promise<void> {
  for (let last = -1; last !== count(); ) {
    last = count()
    await setTimeout(100)
  }
}
