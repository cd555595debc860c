import { constants, PerformanceObserver } from 'node:perf_hooks'

export interface Collections {
  /** Those that were asked for. V8 makes a full one of a scavenge when it is marking already. */
  readonly asked: number
  /** Full collections, whoever wanted them. */
  readonly full: number
  stop(): void
}

interface Collection {
  readonly detail: { readonly kind: number; readonly flags: number }
}

/** Counts the collections of this thread from here on. */
export function countCollections(): Collections {
  let asked = 0
  let full = 0
  const add = (entries: readonly unknown[]) => {
    for (const { detail } of entries as Collection[]) {
      const major = detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR
      const forced = (detail.flags & constants.NODE_PERFORMANCE_GC_FLAGS_FORCED) !== 0
      if (forced && (major || detail.kind === constants.NODE_PERFORMANCE_GC_MINOR)) asked++
      if (major) full++
    }
  }
  const observer = new PerformanceObserver((list) => add(list.getEntries()))
  observer.observe({ entryTypes: ['gc'] })
  return {
    get asked() {
      return asked
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
