/** How often waiting writers look for slices the peer returned without saying so, in ms. */
const RETRY_MS = 1

/**
 * Writers that found no free slice or no room in the ring. The peer returns slices silently, so
 * they are tried again with every batch of events and, at the latest, by a timer that runs only
 * while somebody waits.
 */
export class SliceWaiters {
  readonly #waiting = new Set<() => boolean>()
  #timer: NodeJS.Timeout | undefined

  /** `attempt` is called until it returns true: it needs no more. In order of arrival. */
  wait(attempt: () => boolean): void {
    this.#waiting.add(attempt)
    this.#arm()
  }

  forget(attempt: () => boolean): void {
    this.#waiting.delete(attempt)
  }

  retry(): void {
    if (this.#waiting.size === 0) return
    try {
      for (const attempt of [...this.#waiting]) {
        // Not one that an earlier one made forget.
        if (this.#waiting.delete(attempt) && !attempt()) this.wait(attempt)
      }
    } finally {
      // A callback of a write threw: the others still wait.
      if (this.#waiting.size > 0) this.#arm()
    }
  }

  clear(): void {
    this.#waiting.clear()
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #arm(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      this.retry()
    }, RETRY_MS)
  }
}
