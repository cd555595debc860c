import { Duplex } from 'node:stream'
import { ConnectionResetError } from '../errors.ts'
import type { Lease } from './lease.ts'
import { WINDOW_BYTES } from './limits.ts'
import type { ShmSession } from './session.ts'
import { Status } from './status.ts'
import { type Piece, StreamWriter } from './stream-writer.ts'

export type LeaseTaker = (view: Buffer, lease: Lease) => void

/** Unacknowledged bytes that make us give credit: half the window, so that a sender never stops. */
const CREDIT_BYTES = WINDOW_BYTES / 2

/**
 * A byte stream of a session: a `Duplex` that behaves as a connected `net.Socket` does, with
 * half-close, back-pressure in both directions (a window of 1 MiB) and `ECONNRESET` when the other
 * end destroys it or dies. Bytes read are copied out of shared memory and are the reader's.
 */
export class ShmStream extends Duplex {
  readonly id: number
  readonly session: ShmSession
  // What code written for net.Socket reads.
  readonly remoteAddress: undefined
  readonly remotePort: undefined
  readonly remoteFamily: undefined
  readonly encrypted: undefined

  /** As `net.Socket`'s. */
  bytesRead = 0
  readonly #writer: StreamWriter
  /** Received and not yet credited, bytes. */
  #uncredited = 0
  /** The sender returns to the ring when all is credited: give credit at once. */
  #peerFellBack = false
  #fallbackReceived = 0
  #leaseTaker: LeaseTaker | undefined
  #peerEnded = false
  #weEnded = false
  #referenced = true

  /** @internal Streams are made by sessions. */
  constructor(session: ShmSession, id: number) {
    super({ allowHalfOpen: true, decodeStrings: false, highWaterMark: 64 * 1024 })
    this.session = session
    this.id = id
    this.#writer = new StreamWriter(session, id)
  }

  /** As `net.Socket`'s, but without what still waits to be sent. */
  get bytesWritten(): number {
    return this.#writer.bytesWritten
  }

  /** Bytes of this stream, both directions, that travelled by the session's socket. */
  get fallbackBytes(): number {
    return this.#fallbackReceived + this.#writer.fallbackBytes
  }

  /**
   * The server is going: it serves what is under way on this stream, and a pool must not start
   * another request on it.
   */
  get retiring(): boolean {
    return this.session.leaving
  }

  /** @internal Both directions ended in order. */
  get finished(): boolean {
    return this.#peerEnded && this.#weEnded
  }

  /** @internal */
  onData(chunk: Buffer, byFallback: boolean): void {
    if (this.destroyed || this.#peerEnded) return
    this.bytesRead += chunk.length
    this.#uncredited += chunk.length
    this.#peerFellBack = byFallback
    if (byFallback) {
      this.#fallbackReceived += chunk.length
      // Against plain shmipc a stream that received by socket answers by socket.
      if (this.session.peer === 'shmipc') this.#writer.fallBack()
    }
    let room = true
    try {
      room = this.push(chunk)
    } finally {
      // A socket, too, reads on after a listener threw.
      if (room) this.#giveCredit()
    }
  }

  /**
   * Large chunks come to `taker` as views of shared memory instead of copies by `data`, while the
   * stream flows. For consumers that keep the promise: a view is not read after its lease ended,
   * and the lease ends when the bytes are where they go. `undefined` ends it.
   */
  lendTo(taker: LeaseTaker | undefined): void {
    this.#leaseTaker = taker
  }

  /** @internal What arrives now may be lent: nothing copied waits before it. */
  get lends(): boolean {
    return (
      this.#leaseTaker !== undefined &&
      this.readableFlowing === true &&
      this.readableLength === 0 &&
      !this.destroyed &&
      !this.#peerEnded
    )
  }

  /** @internal */
  onLent(view: Buffer, lease: Lease): void {
    this.bytesRead += view.length
    this.#peerFellBack = false
    try {
      this.#leaseTaker?.(view, lease)
    } finally {
      lease.drop()
    }
  }

  /** @internal Lent bytes have left shared memory. */
  onReturned(bytes: number): void {
    if (this.destroyed) return
    this.#uncredited += bytes
    this.#giveCredit()
  }

  /** @internal */
  onCredit(bytes: number): void {
    this.#writer.onCredit(bytes)
  }

  /** @internal */
  onEnd(status: Status): void {
    if (this.destroyed) return
    if (status === Status.reset) {
      this.onReset(new ConnectionResetError('the other end of the stream was destroyed'))
      return
    }
    if (this.#peerEnded) return
    this.#peerEnded = true
    this.push(null)
    if (status !== Status.close) return
    // shmipc has no half-close: the peer will not read either.
    this.#weEnded = true
    this.#writer.stop()
    if (!this.writableEnded) this.end()
  }

  /**
   * @internal The peer is gone, or will not read. As with a socket, what it had sent in full can
   * still be read; the rest fails.
   */
  onReset(error: Error): void {
    if (this.#peerEnded) {
      if (!this.#weEnded) this.#writer.stop(error)
      return
    }
    this.#peerEnded = true
    // Not before those who were told 'readable' could read.
    process.nextTick(() => this.destroy(error))
  }

  override _read(): void {
    this.#giveCredit()
  }

  override _write(chunk: Piece['chunk'], encoding: BufferEncoding, done: Done): void {
    this.#writer.write([{ chunk, encoding }], done)
  }

  override _writev(chunks: Piece[], done: Done): void {
    this.#writer.write(chunks, done)
  }

  override _final(done: Done): void {
    if (this.session.peer === 'shmesh' && !this.#weEnded) {
      this.#weEnded = true
      this.#writer.signal(Status.fin, done)
      return
    }
    // Towards plain shmipc the end is told by _destroy: its close would end both directions.
    done()
    if (this.session.peer === 'shmipc' && this.#peerEnded) this.destroy()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#writer.stop()
    // Of a stream that never sent anything the peer knows nothing.
    const early = !this.finished && (this.#writer.started || this.session.role === 'server')
    if (early && !this.session.closed) {
      if (this.session.peer === 'shmesh') this.#writer.signal(Status.reset)
      else if (!this.#weEnded) this.#writer.signal(Status.close)
    }
    // The peer may send until it sees the reset, and answers it with its own.
    this.session.removeStream(this.id, early && !this.#peerEnded && this.session.peer === 'shmesh')
    this.unref()
    done(error)
  }

  setTimeout(): this {
    return this
  }

  setKeepAlive(): this {
    return this
  }

  setNoDelay(): this {
    return this
  }

  /** Keeps the process alive while it is open; at first it does. */
  ref(): this {
    if (!this.#referenced && !this.destroyed) {
      this.#referenced = true
      this.session.hold()
    }
    return this
  }

  unref(): this {
    if (this.#referenced) {
      this.#referenced = false
      this.session.letGo()
    }
    return this
  }

  /** As `net.Socket`'s: ends, and destroys when all is written. */
  destroySoon(): void {
    if (this.writable) this.end()
    if (this.writableFinished) this.destroy()
    else this.once('finish', () => this.destroy())
  }

  #giveCredit(): void {
    if (this.session.peer !== 'shmesh' || this.#uncredited === 0) return
    if (this.#uncredited < CREDIT_BYTES && !this.#peerFellBack) return
    const bytes = this.#uncredited
    this.#uncredited = 0
    this.session.signal(this.id, Status.credit, bytes)
  }
}

type Done = (error?: Error | null) => void
