import { Duplex } from 'node:stream'
import type { WireStream } from '../server/wire-stream.ts'
import type { Lease, Wire, WireOwner } from '../wire.ts'

/** What a view shows after its lease ended. */
const POISON = 0xee

/**
 * The server's end of a connection whose other end is the test. Unowned it is a plain Duplex, as
 * node:http takes it; owned, it lends views that turn to poison once nobody holds them.
 */
export class TestStream extends Duplex implements WireStream {
  readonly #output: Buffer[] = []
  #owner: WireOwner | undefined
  #wirePaused = false
  readonly #arrived: (() => void)[] = []
  /** Nothing leaves while it is so; as with a peer that does not read. */
  #stalled = false
  #stuck: Buffer[] = []
  #ending = false
  /** Bytes of views that are held. */
  lent = 0
  /** The server sends no more. */
  ended = false
  bytesRead = 0
  bytesWritten = 0

  constructor() {
    super({ allowHalfOpen: true, decodeStrings: false, highWaterMark: 64 * 1024 })
    this.on('error', () => undefined)
  }

  /** All the server has sent, as text. */
  get output(): string {
    return Buffer.concat(this.#output).toString('latin1')
  }

  get wirePaused(): boolean {
    return this.#wirePaused
  }

  /** From the client. */
  deliver(bytes: Buffer | string): void {
    const chunk = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes
    this.#arrive(() => {
      this.bytesRead += chunk.length
      if (this.#owner === undefined) this.push(chunk)
      else this.#lend(this.#owner, chunk)
    })
  }

  /** The client sends no more. Told at once when nothing waits before it, paused or not. */
  finish(): void {
    const tell = () => {
      if (this.#owner === undefined) this.push(null)
      else this.#owner.onEnd()
    }
    if (this.#arrived.length === 0) tell()
    else this.#arrive(tell)
  }

  /** The client is gone. */
  reset(): void {
    this.destroy(Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }))
  }

  stall(): void {
    this.#stalled = true
  }

  unstall(): void {
    this.#stalled = false
    for (const chunk of this.#stuck.splice(0)) this.#send(chunk)
    if (this.#ending) this.ended = true
    this.#owner?.onDrain()
  }

  takeOver(owner: WireOwner): Wire {
    this.#owner = owner
    return this.#wire
  }

  giveBack(): void {
    this.#owner = undefined
  }

  /** A wire of its own: `write` and `end` of a Duplex are other functions. */
  readonly #wire: Wire = ((): Wire => {
    const stream = this
    return {
      write(before, body, encoding, after) {
        stream.#send(Buffer.from(before, 'latin1'))
        if (body !== undefined) {
          stream.#send(typeof body === 'string' ? Buffer.from(body, encoding) : body)
        }
        stream.#send(Buffer.from(after, 'latin1'))
        return this.writableLength <= 64 * 1024
      },
      get writableLength() {
        return stream.#stuck.reduce((sum, { length }) => sum + length, 0)
      },
      end() {
        stream.#ending = true
        if (!stream.#stalled) stream.ended = true
      },
      destroy: (error) => stream.destroy(error),
      settle() {},
      pause() {
        stream.#wirePaused = true
      },
      resume() {
        stream.#wirePaused = false
        stream.#deliverArrived()
      }
    }
  })()

  override _read(): void {}

  override _write(chunk: Buffer | string, encoding: BufferEncoding, done: () => void): void {
    this.#send(typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk)
    done()
  }

  override _final(done: () => void): void {
    this.ended = true
    done()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#owner?.onClose(error ?? undefined)
    this.#owner = undefined
    done(error)
  }

  setTimeout(): this {
    return this
  }

  setNoDelay(): this {
    return this
  }

  destroySoon(): void {
    if (this.writable) this.end()
    if (this.writableFinished) this.destroy()
    else this.once('finish', () => this.destroy())
  }

  #arrive(action: () => void): void {
    this.#arrived.push(action)
    this.#deliverArrived()
  }

  #deliverArrived(): void {
    while (!this.#wirePaused && !this.destroyed) {
      const next = this.#arrived.shift()
      if (next === undefined) return
      next()
    }
  }

  #lend(owner: WireOwner, bytes: Buffer): void {
    const view = Buffer.from(bytes)
    this.lent += view.length
    let holds = 1
    const detachable: ArrayBuffer[] = []
    const lease: Lease = {
      hold: () => {
        holds++
      },
      mayHold: true,
      drop: () => {
        if (--holds > 0) return
        this.lent -= view.length
        view.fill(POISON)
        for (const memory of detachable) structuredClone(memory, { transfer: [memory] })
      },
      detachable: (part) => {
        const memory = new ArrayBuffer(part.length)
        detachable.push(memory)
        const bytes = Buffer.from(memory)
        part.copy(bytes)
        return bytes
      }
    }
    try {
      owner.onBytes(view, lease)
    } finally {
      lease.drop()
    }
  }

  #send(chunk: Buffer): void {
    if (chunk.length === 0) return
    if (this.#stalled) {
      this.#stuck.push(chunk)
      return
    }
    this.bytesWritten += chunk.length
    this.#output.push(Buffer.from(chunk))
  }
}
