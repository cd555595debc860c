export interface Watched {
  /** Called at each sweep; `now` is {@link Clock.now}. */
  sweep(now: number): void
}

/**
 * One coarse clock for every deadline of a client, or of a proxy. Setting a deadline is storing a
 * number; one interval, running only while somebody is watched, looks at all of them. A timer for
 * each request would cost more than all else about deadlines.
 */
export class Clock {
  readonly #sweepMs: number
  readonly #watched = new Set<Watched>()
  #timer: NodeJS.Timeout | undefined
  #now = performance.now()

  /** @param sweepMs how far past its deadline a thing may be noticed, in milliseconds */
  constructor(sweepMs: number) {
    this.#sweepMs = sweepMs
  }

  /** Milliseconds, at most one sweep old while anything is watched. */
  get now(): number {
    return this.#now
  }

  /** Who is watched now, in order of arrival. */
  get watched(): ReadonlySet<Watched> {
    return this.#watched
  }

  /** A deadline that is never met early, though `now` may be old. 0 or infinite: never. */
  after(ms: number): number {
    return ms > 0 ? this.#now + ms + this.#sweepMs : Number.POSITIVE_INFINITY
  }

  watch(watched: Watched): void {
    this.#watched.add(watched)
    if (this.#timer !== undefined) return
    this.#now = performance.now()
    this.#timer = setInterval(() => this.#sweep(), this.#sweepMs).unref()
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
