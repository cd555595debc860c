import type { Duplex } from 'node:stream'
import type { Carrier, Wire, WireOwner } from './wire.ts'

interface SocketLike extends Duplex {
  /** Set by whoever opened it. */
  readonly retiring?: boolean
  ref?(): unknown
  unref?(): unknown
}

/** A wire over any Duplex: sockets, TLS, in-memory streams. Chunks are the owner's for good. */
export class DuplexWire implements Wire, Carrier {
  readonly duplex: SocketLike
  #owner: WireOwner | undefined
  #error: Error | undefined

  constructor(duplex: Duplex) {
    this.duplex = duplex
  }

  get retiring(): boolean {
    return this.duplex.retiring === true
  }

  get writableLength(): number {
    return this.duplex.writableLength
  }

  takeOver(owner: WireOwner): Wire {
    this.#owner = owner
    const { duplex } = this
    duplex.on('data', this.#onData)
    duplex.on('drain', this.#onDrain)
    duplex.on('end', this.#onEnd)
    duplex.on('error', this.#onError)
    duplex.on('close', this.#onClose)
    return this
  }

  giveBack(rest: Buffer): void {
    const { duplex } = this
    this.#owner = undefined
    duplex.off('data', this.#onData)
    duplex.off('drain', this.#onDrain)
    duplex.off('end', this.#onEnd)
    duplex.off('error', this.#onError)
    duplex.off('close', this.#onClose)
    // Without a reader it would lose what comes next.
    duplex.pause()
    if (rest.length > 0) duplex.unshift(rest)
  }

  write(
    before: string,
    body: Buffer | string | undefined,
    encoding: BufferEncoding,
    after: string
  ): boolean {
    const { duplex } = this
    // Not an error of this end: whoever owns it is told by `onClose`.
    if (!duplex.writable) return true
    if (body === undefined) return duplex.write(before + after, 'latin1')
    duplex.cork()
    if (before !== '') duplex.write(before, 'latin1')
    let more = typeof body === 'string' ? duplex.write(body, encoding) : duplex.write(body)
    if (after !== '') more = duplex.write(after, 'latin1')
    duplex.uncork()
    return more
  }

  end(): void {
    this.duplex.end()
  }

  destroy(error?: Error): void {
    this.duplex.destroy(error)
  }

  pause(): void {
    this.duplex.pause()
  }

  resume(): void {
    this.duplex.resume()
  }

  /** What has been read of a socket is private memory, and nobody's window. */
  settle(): void {}

  ref(): void {
    this.duplex.ref?.()
  }

  unref(): void {
    this.duplex.unref?.()
  }

  readonly #onData = (chunk: Buffer): void => this.#owner?.onBytes(chunk, undefined)

  readonly #onDrain = (): void => this.#owner?.onDrain()

  readonly #onEnd = (): void => this.#owner?.onEnd()

  readonly #onError = (error: Error): void => {
    this.#error = error
  }

  readonly #onClose = (): void => this.#owner?.onClose(this.#error)
}
