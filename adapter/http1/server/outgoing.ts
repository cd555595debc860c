import type { Wire } from '../wire.ts'
import { abortedError } from './client-error.ts'

type Callback = (error?: Error) => void

/** What a connection sends, and who waits until it has left. */
export class Outgoing {
  #wire: Wire | undefined
  #closed = false
  #whenDrained: Callback[] = []

  start(wire: Wire): void {
    this.#wire = wire
  }

  /** Bytes that have not left. */
  get length(): number {
    return this.#wire?.writableLength ?? 0
  }

  /** See `Wire.write`. Nothing is sent on a connection that is closed. */
  write(
    before: string,
    body: Buffer | string | undefined,
    encoding: BufferEncoding,
    after: string
  ): boolean {
    if (this.#wire === undefined || this.#closed) {
      this.discard(body)
      return false
    }
    return this.#wire.write(before, body, encoding, after)
  }

  /** `body`, given to be sent, will not be. */
  discard(body: Buffer | string | undefined): void {
    if (typeof body === 'object') this.#wire?.discard?.(body)
  }

  /** Calls back when all that was written has left, or with an error when it never will. */
  afterDrain(action: Callback): void {
    if (this.length === 0) process.nextTick(action)
    else this.#whenDrained.push(action)
  }

  /** All has left. */
  onDrain(): void {
    if (this.#whenDrained.length === 0) return
    for (const action of this.#whenDrained.splice(0)) action()
  }

  /** As `destroySoon` of a socket: what was written arrives, what still comes is not read. */
  end(): void {
    this.#wire?.end()
    this.#wire?.destroy()
  }

  onClose(error: Error | undefined): void {
    this.#closed = true
    for (const action of this.#whenDrained.splice(0)) action(error ?? abortedError())
  }
}
