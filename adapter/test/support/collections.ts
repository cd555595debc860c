import { constants, PerformanceObserver } from 'node:perf_hooks'

export interface Collections {
  /** Scavenges that were asked for. */
  readonly scavenges: number
  /** Full collections, whoever wanted them. */
  readonly full: number
  stop(): void
}

interface Collection {
  readonly detail: { readonly kind: number; readonly flags: number }
}

/** Counts the collections of this thread from here on. */
export function countCollections(): Collections {
  let scavenges = 0
  let full = 0
  const add = (entries: readonly unknown[]) => {
    for (const { detail } of entries as Collection[]) {
      const forced = (detail.flags & constants.NODE_PERFORMANCE_GC_FLAGS_FORCED) !== 0
      if (detail.kind === constants.NODE_PERFORMANCE_GC_MINOR && forced) scavenges++
      if (detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR) full++
    }
  }
  const observer = new PerformanceObserver((list) => add(list.getEntries()))
  observer.observe({ entryTypes: ['gc'] })
  return {
    get scavenges() {
      return scavenges
    },
    get full() {
      return full
    },
    stop() {
      add(observer.takeRecords())
      observer.disconnect()
    }
  }
}
