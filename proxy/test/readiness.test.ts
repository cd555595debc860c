import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ShmSession } from '../../adapter/shmipc/index.ts'
import { SessionTotalsKeeper } from '../metrics/session-totals.ts'
import { Readiness } from '../readiness.ts'
import type { Cluster } from '../upstream/cluster.ts'

test('however often it is asked, a cluster is tried once a second', async (t) => {
  let now = 0
  t.mock.method(performance, 'now', () => now)
  let tried = 0
  const reachable = async () => tried++ > 0
  const readiness = new Readiness([{ config: { name: 'app' }, reachable } as unknown as Cluster])
  assert.deepEqual(await readiness.unreachable(), ['app'])
  now = 999
  assert.deepEqual(await readiness.unreachable(), ['app'])
  assert.equal(tried, 1)
  now = 1001
  assert.deepEqual(await readiness.unreachable(), [])
  assert.equal(tried, 2)
})

test('counts of a session that is gone stay, and its slices count as freed', () => {
  const session = (allocated: number, freed: number) =>
    ({
      path: '/a',
      role: 'client',
      statistics: () => ({ lists: [{ allocated, freed }], fallbacks: {} })
    }) as unknown as ShmSession
  const first = session(10, 4)
  const keeper = new SessionTotalsKeeper()
  const seen = () => {
    const [{ sessions, allocated, freed } = { sessions: 0, allocated: 0, freed: 0 }] =
      keeper.update(open)
    return { sessions, allocated, freed }
  }
  let open: ShmSession[] = [first]
  assert.deepEqual(seen(), { sessions: 1, allocated: 10, freed: 4 })
  assert.deepEqual(seen(), { sessions: 1, allocated: 10, freed: 4 }, 'counted twice')
  open = [session(3, 3)]
  assert.deepEqual(seen(), { sessions: 2, allocated: 13, freed: 13 })
  open = []
  assert.deepEqual(seen(), { sessions: 2, allocated: 13, freed: 13 })
})
