import type { SessionStatistics, ShmSession } from '../../adapter/shmipc/index.ts'

/** Counts that only grow, summed over all sessions of a path, those that are gone included. */
export interface SessionTotals {
  readonly path: string
  readonly role: 'client' | 'server'
  sessions: number
  allocated: number
  freed: number
  allocationFailures: number
  wakesSent: number
  wakesSuppressed: number
  wakesReceived: number
  spinHits: number
  spinMisses: number
  eventsSent: number
  eventsReceived: number
  fallbackMessages: number
  fallbackBytes: number
  noSlices: number
  ringFull: number
}

type Count = Exclude<keyof SessionTotals, 'path' | 'role'>
type Counts = Record<Count, number>

interface Seen {
  readonly totals: SessionTotals
  readonly counts: Counts
}

/**
 * A session's counts vanish with it. What was seen of them when they were last looked at stays in
 * the totals; of slices that went down with the session's memory it counts as freed.
 */
export class SessionTotalsKeeper {
  readonly #totals = new Map<string, SessionTotals>()
  #seen = new Map<ShmSession, Seen>()

  /** @param sessions all that are open */
  update(sessions: Iterable<ShmSession>): SessionTotals[] {
    const seen = new Map<ShmSession, Seen>()
    for (const session of sessions) {
      const counts = countsOf(session.statistics())
      const before = this.#seen.get(session)
      const totals = before?.totals ?? this.#of(session)
      for (const key of Object.keys(counts) as Count[]) {
        totals[key] += counts[key] - (before?.counts[key] ?? 0)
      }
      seen.set(session, { totals, counts })
      this.#seen.delete(session)
    }
    for (const { totals, counts } of this.#seen.values()) {
      totals.freed += counts.allocated - counts.freed
    }
    this.#seen = seen
    return [...this.#totals.values()]
  }

  #of({ path, role }: ShmSession): SessionTotals {
    const key = `${role} ${path}`
    const known = this.#totals.get(key)
    if (known !== undefined) return known
    const totals: SessionTotals = { path, role, ...NOTHING }
    this.#totals.set(key, totals)
    return totals
  }
}

const NOTHING: Counts = {
  sessions: 0,
  allocated: 0,
  freed: 0,
  allocationFailures: 0,
  wakesSent: 0,
  wakesSuppressed: 0,
  wakesReceived: 0,
  spinHits: 0,
  spinMisses: 0,
  eventsSent: 0,
  eventsReceived: 0,
  fallbackMessages: 0,
  fallbackBytes: 0,
  noSlices: 0,
  ringFull: 0
}

function countsOf(statistics: SessionStatistics): Counts {
  let allocated = 0
  let freed = 0
  for (const list of statistics.lists ?? []) {
    allocated += list.allocated
    freed += list.freed
  }
  return {
    sessions: 1,
    allocated,
    freed,
    allocationFailures: statistics.allocationFailures ?? 0,
    wakesSent: statistics.wakesSent ?? 0,
    wakesSuppressed: statistics.wakesSuppressed ?? 0,
    wakesReceived: statistics.wakesReceived ?? 0,
    spinHits: statistics.spinHits ?? 0,
    spinMisses: statistics.spinMisses ?? 0,
    eventsSent: statistics.eventsSent ?? 0,
    eventsReceived: statistics.eventsReceived ?? 0,
    fallbackMessages: statistics.fallbackMessages,
    fallbackBytes: statistics.fallbackBytes,
    noSlices: statistics.fallbacks.noSlices,
    ringFull: statistics.fallbacks.ringFull
  }
}
