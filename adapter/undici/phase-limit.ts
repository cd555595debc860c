import type { Clock } from '../http1/index.ts'

/** Limits up to here are kept exactly; longer ones by the coarse clock. In milliseconds. */
const EXACT_LIMIT_MS = 1000

/** How long the phase that a request is in may still take. */
export class PhaseLimit {
  /** On the clock; infinite while a timer keeps it. */
  deadline: number = Number.POSITIVE_INFINITY
  readonly #clock: Clock
  readonly #onTime: () => void
  /** Set again for each part of a body, which costs less than one for each. Most requests need none. */
  #timer: NodeJS.Timeout | undefined
  /** Of {@link #timer}. */
  #ms = 0

  /** @param onTime called by the timer; whoever looks at `deadline` sees to it otherwise */
  constructor(clock: Clock, onTime: () => void) {
    this.#clock = clock
    this.#onTime = onTime
  }

  /** From now on, instead of what was before; 0: none. Keeps no process alive. */
  start(ms: number): void {
    if (ms === 0 || ms > EXACT_LIMIT_MS) {
      this.stop()
      this.deadline = this.#clock.after(ms)
      return
    }
    this.deadline = Number.POSITIVE_INFINITY
    if (this.#timer !== undefined && this.#ms === ms) {
      this.#timer.refresh()
      return
    }
    clearTimeout(this.#timer)
    this.#ms = ms
    this.#timer = setTimeout(this.#onTime, ms).unref()
  }

  stop(): void {
    this.deadline = Number.POSITIVE_INFINITY
    if (this.#timer === undefined) return
    clearTimeout(this.#timer)
    this.#timer = undefined
  }
}
