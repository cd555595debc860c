import type { OutlierConfig } from '../config/types.ts'

/** After its first failed connection an endpoint is passed over so long; doubled with each further. */
const FIRST_PAUSE_MS = 25
/** Short, so that an app that is back is found at once: a failed probe costs one refused connect. */
const MAX_PAUSE_MS = 250
/** While one request probes an endpoint, others are sent elsewhere for so long. */
const PROBE_MS = 250

/**
 * When an endpoint is passed over: for a moment when it cannot be reached; for longer, if the
 * configuration wants that, when it answers 5xx again and again. Afterwards one request probes it.
 */
export class Ejection {
  readonly #outlier: OutlierConfig | undefined
  readonly #mayEject: () => boolean
  /** In a row, as are the others. */
  #unreachable = 0
  #serverErrors = 0
  #ejections = 0
  /** As performance.now() counts; 0 when it is not passed over. */
  #until = 0

  /** @param mayEject whether another endpoint may be passed over for what it answers */
  constructor(outlier: OutlierConfig | undefined, mayEject: () => boolean) {
    this.#outlier = outlier
    this.#mayEject = mayEject
  }

  /** Passed over, or not yet known to be well again. */
  get active(): boolean {
    return this.#until !== 0
  }

  /** It is passed over because of what it answered. */
  get forErrors(): boolean {
    return this.#ejections > 0
  }

  /** Whether to pass over it now. */
  passesOver(): boolean {
    return this.#until !== 0 && performance.now() < this.#until
  }

  /** A request is sent to it, which others await the result of. */
  probe(): void {
    if (this.#until !== 0) this.#until = Math.max(this.#until, performance.now() + PROBE_MS)
  }

  /** It broke a connection that had only just been made, or refused one. */
  unreachable(): void {
    const pauseMs = Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.#unreachable)
    this.#unreachable++
    this.#until = Math.max(this.#until, performance.now() + pauseMs)
  }

  /** @param failed the answer was 5xx, or did not come in time */
  answered(failed: boolean): void {
    if (failed) this.#failed()
    else if (this.#until !== 0 || this.#serverErrors !== 0) this.#succeeded()
  }

  #failed(): void {
    const outlier = this.#outlier
    this.#unreachable = 0
    if (outlier === undefined) {
      this.#until = 0
      return
    }
    this.#serverErrors++
    // What was under way when it was ejected says nothing new.
    if (this.#ejections > 0 && performance.now() < this.#until - PROBE_MS) return
    const again = this.#ejections > 0
    if (!again && (this.#serverErrors < outlier.consecutive5xx || !this.#mayEject())) return
    const ejectionMs = Math.min(outlier.maxEjectionMs, outlier.ejectionMs * 2 ** this.#ejections)
    this.#ejections++
    this.#until = performance.now() + ejectionMs
  }

  #succeeded(): void {
    this.#unreachable = 0
    this.#serverErrors = 0
    // The answer to a request sent before the ejection is no reason to end it.
    if (this.#ejections > 0 && performance.now() < this.#until - PROBE_MS) return
    this.#ejections = 0
    this.#until = 0
  }
}
