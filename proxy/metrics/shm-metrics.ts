/** What is told of shared memory: one label set per path and end, however many sessions it has. */

import type { SessionStatistics, ShmSession } from '../../adapter/shmipc/index.ts'
import type { Families, Sample } from './family.ts'
import type { SessionTotals } from './session-totals.ts'

/** @param totals of these and of earlier sessions */
export function addShmMetrics(
  to: Families,
  sessions: readonly ShmSession[],
  totals: readonly SessionTotals[]
): void {
  addTotals(to, totals)
  const byPath = new Map<string, SessionStatistics[]>()
  for (const { path, role } of totals) byPath.set(`${role} ${path}`, [])
  for (const session of sessions) {
    byPath.get(`${session.role} ${session.path}`)?.push(session.statistics())
  }
  const each = (value: (one: SessionStatistics) => number): Sample[] =>
    totals.map(({ path, role }) => ({
      labels: { path, role },
      value: sum(byPath.get(`${role} ${path}`) ?? [], value)
    }))
  to.gauge(
    'shm_sessions',
    'Sessions open.',
    each(() => 1)
  )
  to.gauge(
    'shm_streams',
    'Streams open.',
    each((one) => one.streams)
  )
  to.gauge(
    'shm_memory_bytes',
    'Shared memory that takes room in RAM now.',
    each((one) => one.residentBytes ?? 0)
  )
  to.gauge(
    'shm_mapped_bytes',
    'Shared memory mapped.',
    each((one) => one.mappedBytes ?? 0)
  )
  to.gauge(
    'shm_bytes_in_use',
    'Payload of slices of ours that are not free.',
    each((one) => one.bytesInUse ?? 0)
  )
  to.gauge(
    'shm_leases',
    'Views of shared memory being read.',
    each((one) => one.leases)
  )
  to.gauge(
    'shm_kept_bytes',
    'Bytes that wait in shared memory for their streams to read on.',
    each((one) => one.keptBytes)
  )
  to.gauge(
    'shm_ring_backlog',
    'Events in the rings that have not been taken.',
    ring('send', (one) => one.sendBacklog ?? 0).concat(
      ring('receive', (one) => one.receiveBacklog ?? 0)
    )
  )
  to.gauge(
    'shm_ring_capacity',
    'Events a ring has room for.',
    each((one) => one.queueCapacity ?? 0)
  )
  to.gauge(
    'shm_slices',
    'Slices in use, by size and by who has them.',
    totals.flatMap(({ path, role }) => slices({ path, role }, byPath.get(`${role} ${path}`) ?? []))
  )

  function ring(direction: string, value: (one: SessionStatistics) => number): Sample[] {
    return each(value).map((sample) => ({ ...sample, labels: { ...sample.labels, direction } }))
  }
}

/** allocated = freed + held + lent, at any time. */
function addTotals(to: Families, totals: readonly SessionTotals[]): void {
  const each = (value: (one: SessionTotals) => number): Sample[] =>
    totals.map((one) => ({ labels: { path: one.path, role: one.role }, value: value(one) }))
  to.counter(
    'shm_session_total',
    'Sessions made.',
    each((one) => one.sessions)
  )
  to.counter(
    'shm_slices_allocated_total',
    'Slices taken.',
    each((one) => one.allocated)
  )
  to.counter(
    'shm_slices_freed_total',
    'Slices given back.',
    each((one) => one.freed)
  )
  to.counter(
    'shm_allocation_failure_total',
    'Times no slice was free.',
    each((one) => one.allocationFailures)
  )
  to.counter(
    'shm_events_sent_total',
    'Events put into rings.',
    each((one) => one.eventsSent)
  )
  to.counter(
    'shm_events_received_total',
    'Events taken from rings.',
    each((one) => one.eventsReceived)
  )
  to.counter(
    'shm_wakeup_sent_total',
    'System calls to wake a peer.',
    each((one) => one.wakesSent)
  )
  to.counter(
    'shm_wakeup_suppressed_total',
    'Wake-ups saved because the peer was awake.',
    each((one) => one.wakesSuppressed)
  )
  to.counter(
    'shm_wakeup_received_total',
    'Wake-ups by peers.',
    each((one) => one.wakesReceived)
  )
  to.counter(
    'shm_spin_hit_total',
    'Spins that saved a wait.',
    each((one) => one.spinHits)
  )
  to.counter(
    'shm_spin_miss_total',
    'Spins in vain.',
    each((one) => one.spinMisses)
  )
  to.counter(
    'shm_fallback_total',
    "Times a stream turned to the session's socket, by what was short.",
    totals.flatMap(({ path, role, noSlices, ringFull }) => [
      { labels: { path, role, reason: 'no_slices' }, value: noSlices },
      { labels: { path, role, reason: 'ring_full' }, value: ringFull }
    ])
  )
  to.counter(
    'shm_fallback_bytes_total',
    "Bytes that went by a session's socket instead.",
    each((one) => one.fallbackBytes)
  )
}

const STATES = ['held', 'lent', 'borrowed'] as const

function slices(
  labels: { readonly path: string; readonly role: string },
  sessions: readonly SessionStatistics[]
): Sample[] {
  const counts = new Map<number, Record<(typeof STATES)[number], number>>()
  const add = (list: NonNullable<SessionStatistics['lists']>[number]) => {
    const count = counts.get(list.payload) ?? { held: 0, lent: 0, borrowed: 0 }
    for (const state of STATES) count[state] += list[state]
    counts.set(list.payload, count)
  }
  for (const { lists = [] } of sessions) lists.forEach(add)
  return [...counts].flatMap(([bytes, count]) =>
    STATES.map((state) => ({ labels: { ...labels, bytes, state }, value: count[state] }))
  )
}

function sum(
  sessions: readonly SessionStatistics[],
  value: (one: SessionStatistics) => number
): number {
  return sessions.reduce((total, one) => total + value(one), 0)
}
