/**
 * One coarse clock for every deadline of the proxy. Setting a deadline is storing a number; one
 * interval, running only while somebody is watched, looks at all of them. A timer per request would
 * cost more than the request's routing.
 */

/** How far past its deadline a thing may be noticed, in milliseconds. */
export const SWEEP_INTERVAL_MS = 50

export interface Watched {
  /** Called about every {@link SWEEP_INTERVAL_MS}; `now` is {@link Deadlines.now}. */
  sweep(now: number): void
}

export class Deadlines {
  readonly #watched = new Set<Watched>()
  #timer: NodeJS.Timeout | undefined
  #now = performance.now()

  /** Milliseconds, at most {@link SWEEP_INTERVAL_MS} old while anything is watched. */
  get now(): number {
    return this.#now
  }

  watch(watched: Watched): void {
    this.#watched.add(watched)
    if (this.#timer !== undefined) return
    this.#now = performance.now()
    this.#timer = setInterval(() => this.#sweep(), SWEEP_INTERVAL_MS)
    this.#timer.unref()
  }

  unwatch(watched: Watched): void {
    this.#watched.delete(watched)
    if (this.#watched.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #sweep(): void {
    this.#now = performance.now()
    for (const watched of this.#watched) watched.sweep(this.#now)
  }
}
