/** What is going on: one line that is rewritten on a terminal, a line per step elsewhere. */
export class Progress {
  readonly #out: NodeJS.WriteStream
  #shown = false

  constructor(out: NodeJS.WriteStream = process.stdout) {
    this.#out = out
  }

  /** Changes many times per second: only for a terminal. */
  update(text: string): void {
    if (!this.#out.isTTY) return
    this.#out.write(`\r\u001b[2K${text.slice(0, (this.#out.columns || 80) - 1)}`)
    this.#shown = true
  }

  /** A step is done. On a terminal the next one takes its line. */
  step(text: string): void {
    if (this.#out.isTTY) this.update(text)
    else this.print(text)
  }

  /** Stays. */
  print(text: string): void {
    this.clear()
    this.#out.write(`${text}\n`)
  }

  clear(): void {
    if (this.#shown) this.#out.write('\r\u001b[2K')
    this.#shown = false
  }
}
