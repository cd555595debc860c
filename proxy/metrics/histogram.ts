/** Upper bounds, milliseconds: linkerd's, and three below them for what stays on one machine. */
export const LATENCY_BUCKETS_MS: readonly number[] = [
  0.1, 0.25, 0.5, 1, 2, 3, 4, 5, 10, 20, 30, 40, 50, 100, 200, 300, 400, 500, 1000, 2000, 3000,
  4000, 5000, 10_000, 20_000, 30_000, 40_000, 50_000
]

/** Counts durations. Plain numbers: it is asked once per request. */
export class LatencyHistogram {
  /** Per bucket, not summed up; the last is for what is above all bounds. */
  readonly counts: number[] = new Array<number>(LATENCY_BUCKETS_MS.length + 1).fill(0)
  sumMs = 0

  observe(milliseconds: number): void {
    let bucket = 0
    while (milliseconds > (LATENCY_BUCKETS_MS[bucket] ?? Number.POSITIVE_INFINITY)) bucket++
    this.counts[bucket]!++
    this.sumMs += milliseconds
  }

  get total(): number {
    return this.counts.reduce((sum, count) => sum + count, 0)
  }
}
