import type { BodySink, BodySource } from './body-source.ts'

type Chunks = Iterator<string | Uint8Array> | AsyncIterator<string | Uint8Array>

/** A request's body from an iterable or async iterable of text and bytes. */
export class IterableBody implements BodySource {
  readonly length: number | undefined
  readonly #body: AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array>
  #wake: (() => void) | undefined
  #destroyed = false

  /** @param length in bytes, when it is known */
  constructor(
    body: AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array>,
    length?: number
  ) {
    this.#body = body
    this.length = length
  }

  start(sink: BodySink): void {
    this.#read(sink).catch((error: Error) => {
      if (!this.#destroyed) sink.fail(error)
    })
  }

  resume(): void {
    const wake = this.#wake
    this.#wake = undefined
    wake?.()
  }

  destroy(): void {
    this.#destroyed = true
    this.resume()
  }

  async #read(sink: BodySink): Promise<void> {
    const chunks = this.#iterate()
    let finished = false
    try {
      while (!this.#destroyed) {
        const { done, value } = await chunks.next()
        if (done === true) {
          finished = true
          break
        }
        if (this.#destroyed) break
        if (sink.write(value)) continue
        // Whoever drains it may have been called from within `write`.
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
      }
      if (!this.#destroyed) sink.end()
    } finally {
      // As `for await` does: generators end their `finally`, streams are cancelled.
      if (!finished) await chunks.return?.()
    }
  }

  #iterate(): Chunks {
    const body = this.#body as AsyncIterable<string | Uint8Array> & Iterable<string | Uint8Array>
    return typeof body[Symbol.asyncIterator] === 'function'
      ? body[Symbol.asyncIterator]()
      : body[Symbol.iterator]()
  }
}
