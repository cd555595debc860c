import type { ClusterConfig } from '../config/types.ts'

/** Somebody who waits until a cluster has fewer requests in flight. */
export interface LoadWaiter {
  /** It counts as in flight from now on. */
  admitted(): void
}

export interface LoadStatistics {
  /** Requests in flight. */
  readonly active: number
  /** Those that wait for others to end. */
  readonly queued: number
  /** Those sent once more after a timeout or a status. */
  readonly retrying: number
  /** Retries the budget had no room for. */
  readonly retriesDenied: number
}

/** The requests of one cluster: no more in flight, waiting, or being retried than it allows. */
export class ClusterLoad {
  #active = 0
  #retrying = 0
  #retriesDenied = 0
  #admitting = false
  #idle: (() => void) | undefined
  readonly #queue: LoadWaiter[] = []
  readonly #limit: number
  readonly #pending: number
  readonly #budget: ClusterConfig['retryBudget']

  constructor({ requests, pending, retryBudget }: ClusterConfig) {
    this.#limit = requests === 0 ? Number.POSITIVE_INFINITY : requests
    this.#pending = pending
    this.#budget = retryBudget
  }

  /** `'waiting'`: `waiter` is told later, unless it is cancelled. */
  enter(waiter: LoadWaiter): 'admitted' | 'waiting' | 'full' {
    if (this.#active < this.#limit) {
      this.#active++
      return 'admitted'
    }
    if (this.#queue.length >= this.#pending) return 'full'
    this.#queue.push(waiter)
    return 'waiting'
  }

  cancel(waiter: LoadWaiter): void {
    const index = this.#queue.indexOf(waiter)
    if (index !== -1) this.#queue.splice(index, 1)
  }

  /** One that was admitted has ended; the next takes its place. */
  leave(): void {
    this.#active--
    this.#admitNext()
    if (this.#active > 0) return
    const idle = this.#idle
    this.#idle = undefined
    idle?.()
  }

  /** Calls `idle` once nothing is in flight any more, which may be now. */
  whenIdle(idle: () => void): void {
    if (this.#active === 0) idle()
    else this.#idle = idle
  }

  #admitNext(): void {
    // One that is admitted may end at once: it leaves from within, and the loop goes on.
    if (this.#admitting || this.#queue.length === 0) return
    this.#admitting = true
    try {
      while (this.#active < this.#limit && this.#queue.length > 0) {
        this.#active++
        this.#queue.shift()?.admitted()
      }
    } finally {
      this.#admitting = false
    }
  }

  /** Whether one more request may be sent once more; {@link endRetry} when it has ended. */
  beginRetry(): boolean {
    const { percent, minimum } = this.#budget
    if (this.#retrying >= Math.max(minimum, (this.#active * percent) / 100)) {
      this.#retriesDenied++
      return false
    }
    this.#retrying++
    return true
  }

  endRetry(): void {
    this.#retrying--
  }

  statistics(): LoadStatistics {
    return {
      active: this.#active,
      queued: this.#queue.length,
      retrying: this.#retrying,
      retriesDenied: this.#retriesDenied
    }
  }
}
