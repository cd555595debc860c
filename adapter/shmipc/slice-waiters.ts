/** How often waiting writers look for slices the peer returned without saying so, in ms. */
const RETRY_MS = 1
/** After so many in a row that found none the others would find none either. */
const MAX_REFUSALS = 8
/** Where none has come back for so long, others hold them; a turn with 256 bodies takes half, ms. */
const STANDSTILL_MS = 50
/** From then on nobody waits for longer than this, until one does come back; ms. */
const BRIEFLY_MS = 10
/** Nobody waits longer for slices that do come back, in ms. */
const MAX_WAIT_MS = 250

/**
 * Writers that found no free slice or no room in the ring. The peer returns slices silently, so
 * they are tried again with every batch of events and, at the latest, by a timer that runs only
 * while somebody waits.
 */
export class SliceWaiters {
  readonly #waiting = new Set<() => boolean>()
  #timer: NodeJS.Timeout | undefined
  #servedAt = 0
  /** Somebody has waited in vain since. */
  #stuck = false

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
      let refusals = 0
      for (const attempt of [...this.#waiting]) {
        // Not one that an earlier one made forget.
        if (!this.#waiting.has(attempt)) continue
        if (attempt()) {
          this.#waiting.delete(attempt)
          refusals = 0
        } else if (++refusals === MAX_REFUSALS) break
      }
    } finally {
      // A callback of a write threw: the others still wait.
      if (this.#waiting.size > 0) this.#arm()
    }
  }

  /** Somebody who waited has been given a slice. */
  served(): void {
    this.#servedAt = performance.now()
    this.#stuck = false
  }

  /**
   * Whether it is worth to wait on: briefly, or for as long as slices come back, so that it is soon
   * the turn of who waits.
   *
   * @param since as performance.now() counts
   */
  mayWait(since: number): boolean {
    const now = performance.now()
    const waited = now - since
    if (waited < (this.#stuck ? BRIEFLY_MS : STANDSTILL_MS)) return true
    if (waited < MAX_WAIT_MS && now - this.#servedAt < STANDSTILL_MS) return true
    this.#stuck = true
    return false
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
