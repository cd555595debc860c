import type { HeldSlice } from './held-slice.ts'
import type { ShmSession } from './session.ts'

interface Waiting {
  readonly bytes: number
  readonly since: number
  readonly given: (held: HeldSlice | undefined) => void
}

/**
 * Who waits for a slice of a session's memory, in order of arrival; of those for smaller slices
 * nobody waits for larger ones.
 */
export class SliceQueue {
  readonly #session: ShmSession
  readonly #waiting = new Set<Waiting>()

  constructor(session: ShmSession) {
    this.#session = session
  }

  /** As `ShmSession.hold`, but not past those who wait for no more bytes. */
  hold(bytes: number): HeldSlice | undefined {
    for (const other of this.#waiting) if (other.bytes <= bytes) return undefined
    return this.#session.hold(bytes)
  }

  /**
   * @param given is called later, once: with a slice, or with `undefined` when slices do not come
   *   back. Not after the session's end
   * @returns makes it forget who waits, before `given` was called
   */
  wait(bytes: number, given: (held: HeldSlice | undefined) => void): () => void {
    const waiting = { bytes, since: performance.now(), given }
    this.#waiting.add(waiting)
    this.#session.waiters.wait(this.#attempt)
    return () => this.#waiting.delete(waiting)
  }

  /** @returns true when nobody waits any more */
  readonly #attempt = (): boolean => {
    const { waiters } = this.#session
    let refused = Number.POSITIVE_INFINITY
    for (const waiting of this.#waiting) {
      const { bytes, since, given } = waiting
      const held = bytes < refused ? this.#session.hold(bytes) : undefined
      if (held !== undefined) waiters.served()
      else {
        refused = Math.min(refused, bytes)
        if (waiters.mayWait(since)) continue
      }
      this.#waiting.delete(waiting)
      given(held)
    }
    return this.#waiting.size === 0
  }
}
