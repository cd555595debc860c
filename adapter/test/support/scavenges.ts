import { constants, PerformanceObserver } from 'node:perf_hooks'

interface Collection {
  readonly detail: { readonly kind: number; readonly flags: number }
}

/** Counts the scavenges of this thread that were asked for. */
export function countScavenges(): { readonly count: number; stop(): void } {
  let count = 0
  const add = (entries: readonly unknown[]) => {
    for (const { detail } of entries as Collection[]) {
      const minor = detail.kind === constants.NODE_PERFORMANCE_GC_MINOR
      if (minor && (detail.flags & constants.NODE_PERFORMANCE_GC_FLAGS_FORCED) !== 0) count++
    }
  }
  const observer = new PerformanceObserver((list) => add(list.getEntries()))
  observer.observe({ entryTypes: ['gc'] })
  return {
    get count() {
      return count
    },
    stop() {
      add(observer.takeRecords())
      observer.disconnect()
    }
  }
}
