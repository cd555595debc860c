/** What a thing may be noticed past its deadline, in milliseconds. */
const SWEEP_INTERVAL_MS = 500

export interface Watched {
  /** Called twice a second; `now` is {@link Clock.now}. */
  sweep(now: number): void
}

/**
 * One coarse clock for every deadline of a client. Setting a deadline is storing a number; one
 * interval, running only while somebody is watched, looks at all of them.
 */
export class Clock {
  readonly #watched = new Set<Watched>()
  #timer: NodeJS.Timeout | undefined
  #now = performance.now()

  /** Milliseconds, at most {@link SWEEP_INTERVAL_MS} old while anything is watched. */
  get now(): number {
    return this.#now
  }

  /** Who is watched now, in order of arrival. */
  get watched(): ReadonlySet<Watched> {
    return this.#watched
  }

  /** A deadline that is never met early, though `now` may be old. 0 or infinite: never. */
  after(ms: number): number {
    return ms > 0 ? this.#now + ms + SWEEP_INTERVAL_MS : Number.POSITIVE_INFINITY
  }

  watch(watched: Watched): void {
    this.#watched.add(watched)
    if (this.#timer !== undefined) return
    this.#now = performance.now()
    this.#timer = setInterval(() => this.#sweep(), SWEEP_INTERVAL_MS).unref()
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
