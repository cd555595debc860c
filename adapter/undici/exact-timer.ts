/** One timer that is set again for each part of a body, which costs less than one for each. */
export class ExactTimer {
  readonly #onTime: () => void
  #timer: NodeJS.Timeout | undefined
  /** Of {@link #timer}. */
  #ms = 0

  constructor(onTime: () => void) {
    this.#onTime = onTime
  }

  /** From now on; keeps no process alive. */
  start(ms: number): void {
    if (this.#timer !== undefined && this.#ms === ms) {
      this.#timer.refresh()
      return
    }
    clearTimeout(this.#timer)
    this.#ms = ms
    this.#timer = setTimeout(this.#onTime, ms).unref()
  }

  stop(): void {
    if (this.#timer === undefined) return
    clearTimeout(this.#timer)
    this.#timer = undefined
  }
}
