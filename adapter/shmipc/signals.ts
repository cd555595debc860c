import type { NativeSession } from '../../native/index.ts'
import type { SliceWaiters } from './slice-waiters.ts'
import type { Status } from './status.ts'

/** Events without slices, in order; they wait here while the ring is full. */
export class Signals {
  readonly #native: NativeSession
  readonly #waiters: SliceWaiters
  readonly #whenSent: () => void
  readonly #waiting: [stream: number, status: Status, value: number][] = []

  /** @param whenSent called when none waits any more */
  constructor(native: NativeSession, waiters: SliceWaiters, whenSent: () => void) {
    this.#native = native
    this.#waiters = waiters
    this.#whenSent = whenSent
  }

  /** How many wait. */
  get length(): number {
    return this.#waiting.length
  }

  send(stream: number, status: Status, value: number): void {
    if (this.#waiting.length === 0 && this.#native.signal(stream, status, value)) return
    this.#waiting.push([stream, status, value])
    this.#waiters.wait(this.#sendWaiting)
  }

  readonly #sendWaiting = (): boolean => {
    while (this.#waiting.length > 0) {
      const [stream, status, value] = this.#waiting[0]!
      if (!this.#native.signal(stream, status, value)) return false
      this.#waiting.shift()
    }
    this.#whenSent()
    return true
  }
}
