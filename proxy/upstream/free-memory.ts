import type { Link } from '../../adapter/shmipc/index.ts'

/** How old what is known of the free memory may be, in ms: asking costs more than a small request. */
const SAMPLE_MS = 50

/** Whether an endpoint's session has shared memory to spare. */
export class FreeMemory {
  readonly #link: Link
  readonly #minPercent: number
  #short = false
  #sampledAt = 0

  /** @param minPercent of what may be allocated; 0 is never short */
  constructor(link: Link, minPercent: number) {
    this.#link = link
    this.#minPercent = minPercent
  }

  isShort(): boolean {
    if (this.#minPercent === 0) return false
    const now = performance.now()
    if (now - this.#sampledAt >= SAMPLE_MS) {
      this.#sampledAt = now
      const { budget = 0, bytesInUse = 0 } = this.#link.statistics().session ?? {}
      this.#short = (budget - bytesInUse) * 100 < budget * this.#minPercent
    }
    return this.#short
  }
}
