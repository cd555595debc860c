/** The `setTimeout` of a socket: tells once when nothing has moved for so long. */
export class IdleTimer {
  readonly #onIdle: () => void
  #timer: NodeJS.Timeout | undefined

  constructor(onIdle: () => void) {
    this.#onIdle = onIdle
  }

  /** @param ms 0: never */
  set(ms: number): void {
    clearTimeout(this.#timer)
    this.#timer = ms > 0 ? setTimeout(this.#onIdle, ms).unref() : undefined
  }

  /** Something moved. */
  refresh(): void {
    this.#timer?.refresh()
  }
}
