import type { HeldSlice } from './held-slice.ts'
import type { ShmSession } from './session.ts'

/**
 * Larger slices may make up half of the memory only. More bodies at a time than those few would not
 * be done sooner, and what user code makes of them must not outlive the scavenges of as many others.
 */
const LARGE_BYTES = 2 * 1024 * 1024

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
  readonly #budget: number
  readonly #waiting = new Set<Waiting>()

  /** @param budget payload bytes that may be in use */
  constructor(session: ShmSession, budget: number) {
    this.#session = session
    this.#budget = budget
  }

  /** As `ShmSession.hold`, but not past those who wait for no more bytes. */
  hold(bytes: number): HeldSlice | undefined {
    for (const other of this.#waiting) if (other.bytes <= bytes) return undefined
    return this.#hold(bytes)
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
      const held = bytes < refused ? this.#hold(bytes) : undefined
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

  #hold(bytes: number): HeldSlice | undefined {
    if (bytes <= LARGE_BYTES) return this.#session.hold(bytes)
    const budget = this.#budget
    // Of little memory one large slice is more than half.
    return this.#session.hold(bytes, Math.max(budget / 2, Math.min(budget, 2 * bytes)))
  }
}
