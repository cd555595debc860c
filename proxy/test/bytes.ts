import type { Duplex } from 'node:stream'

/** The other end has closed the connection in order, and there was more to come. */
export class EndedError extends Error {
  override readonly name: string = 'EndedError'
}

/** Reads one end of a connection piece by piece. */
export class Bytes {
  readonly stream: Duplex
  #text = ''
  #ended = false
  #error: Error | undefined
  #wakes: (() => void)[] = []

  constructor(stream: Duplex) {
    this.stream = stream
    stream.on('data', (chunk: Buffer) => {
      this.#text += chunk.toString('latin1')
      this.#wake()
    })
    stream.on('end', () => {
      this.#ended = true
      this.#wake()
    })
    stream.on('error', (error) => {
      this.#error = error
      this.#wake()
    })
    stream.on('close', () => {
      this.#ended = true
      this.#wake()
    })
  }

  /** What has arrived and was not taken yet. */
  get pending(): string {
    return this.#text
  }

  write(text: string): void {
    this.stream.write(text, 'latin1')
  }

  /** Up to and including `mark`. */
  async until(mark: string): Promise<string> {
    for (;;) {
      const at = this.#text.indexOf(mark)
      if (at !== -1) return this.#cut(at + mark.length)
      await this.#more(`"${mark}"`)
    }
  }

  head(): Promise<string> {
    return this.until('\r\n\r\n')
  }

  async take(length: number): Promise<string> {
    while (this.#text.length < length) await this.#more(`${length} bytes`)
    return this.#cut(length)
  }

  /** All up to an orderly end. */
  async rest(): Promise<string> {
    while (!this.#ended && this.#error === undefined) await this.#wait()
    if (this.#error !== undefined) throw this.#error
    return this.#cut(this.#text.length)
  }

  /** Until the connection is gone, in whatever way; tells which. */
  async gone(): Promise<'ended' | 'reset'> {
    while (!this.#ended && this.#error === undefined) await this.#wait()
    return this.#error === undefined ? 'ended' : 'reset'
  }

  /**
   * Waits as {@link gone}; returns whether it was reset. What comes together with the last bytes is
   * an end in order to libuv, but whoever has been reset cannot write any more.
   */
  async brokenOff(): Promise<boolean> {
    if ((await this.gone()) === 'reset') return true
    return new Promise((resolve) => {
      this.stream.write('\r\n', (error) => resolve(error != null))
    })
  }

  async #more(what: string): Promise<void> {
    if (this.#error !== undefined) throw this.#error
    if (this.#ended) throw new EndedError(`it ended before ${what}; it said: ${this.#text}`)
    await this.#wait(what)
  }

  /** Says what it waits for in vain, so that a test fails where it would hang. */
  #wait(what = 'the end'): Promise<void> {
    return new Promise((resolve, reject) => {
      const message = `nothing came in 20 s, waiting for ${what}; before that: ${this.#text}`
      const timer = setTimeout(() => reject(new Error(message)), 20_000)
      timer.unref()
      this.#wakes.push(() => {
        clearTimeout(timer)
        resolve()
      })
    })
  }

  #wake(): void {
    for (const wake of this.#wakes.splice(0)) wake()
  }

  #cut(length: number): string {
    const taken = this.#text.slice(0, length)
    this.#text = this.#text.slice(length)
    return taken
  }
}
