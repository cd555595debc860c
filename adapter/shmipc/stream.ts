import { noteBuffers } from '../scavenges.ts'
import { pushText } from '../shared-text.ts'
import { Channel, type ChannelFace, type ChannelOwner } from './channel.ts'
import { allocateIn, HeldSlice, MIN_HELD_BYTES } from './held-slice.ts'
import type { Lease } from './lease.ts'
import type { ShmSession } from './session.ts'
import { SocketLike } from './socket-like.ts'

export type LeaseTaker = (view: Buffer, lease: Lease) => void

/** Below, a copy is cheaper than a lease. */
const MIN_LENT_BYTES = 16 * 1024
/** Corked writes up to here leave as one message. */
const MAX_JOINED_BYTES = 32 * 1024

/**
 * A byte stream of a session: a `Duplex` that behaves as a connected `net.Socket` does, with
 * half-close, back-pressure in both directions (a window of 1 MiB) and `ECONNRESET` when the other
 * end destroys it or dies. Bytes read are copied out of shared memory and are the reader's.
 */
export class ShmStream extends SocketLike implements ChannelFace {
  // Private, so that `console.log(request)` does not show all of the session's memory.
  readonly #channel: Channel
  #leaseTaker: LeaseTaker | undefined
  #referenced = true

  /** @internal Streams are made by sessions. */
  constructor(session: ShmSession, id: number) {
    super({ allowHalfOpen: true, decodeStrings: false, highWaterMark: 64 * 1024 })
    this.#channel = new Channel(session, id, this, this)
  }

  /** @internal */
  get channel(): Channel {
    return this.#channel
  }

  get id(): number {
    return this.#channel.id
  }

  get session(): ShmSession {
    return this.#channel.session
  }

  /** As `net.Socket`'s. */
  get bytesRead(): number {
    return this.#channel.bytesRead
  }

  /** As `net.Socket`'s, but without what still waits to be sent. */
  get bytesWritten(): number {
    return this.#channel.bytesWritten
  }

  /** Bytes of this stream, both directions, that travelled by the session's socket. */
  get fallbackBytes(): number {
    return this.#channel.fallbackBytes
  }

  /**
   * The server is going: it serves what is under way on this stream, and a pool must not start
   * another request on it.
   */
  get retiring(): boolean {
    return this.#channel.session.leaving
  }

  /**
   * Large chunks come to `taker` as views of shared memory instead of copies by `data`, while the
   * stream flows. For consumers that keep the promise: a view is not read after its lease ended,
   * and the lease ends when the bytes are where they go. `undefined` ends it.
   */
  lendTo(taker: LeaseTaker | undefined): void {
    this.#leaseTaker = taker
  }

  /**
   * `bytes` zero bytes of shared memory, to be filled and then written: no byte is copied. The
   * write gives them away, and whoever still holds the Buffer sees it empty from then on. Ordinary
   * memory when that serves better, or when shared memory is short: it is written as any Buffer.
   */
  alloc(bytes: number): Buffer {
    return allocateIn(this.#channel.session, bytes)?.fill(0) ?? Buffer.alloc(bytes)
  }

  /** As `alloc`, with whatever bytes the session carried there before. */
  allocUnsafe(bytes: number): Buffer {
    return allocateIn(this.#channel.session, bytes) ?? Buffer.allocUnsafe(bytes)
  }

  /**
   * From here on all that arrives goes to `owner`, and what is sent goes by the channel: this stays
   * as what others know of it (`destroy`, 'close', 'error', addresses). Bytes it has read already
   * come first.
   */
  takeOver(owner: ChannelOwner): Channel {
    const read: unknown = this.readableLength > 0 ? this.read() : null
    this.#channel.owner = owner
    // Whoever owns it is told by `onClose`.
    this.on('error', NOTHING)
    if (Buffer.isBuffer(read)) owner.onBytes(read, undefined)
    this.#channel.resume()
    return this.#channel
  }

  /** Ends `takeOver`: an ordinary stream again, which reads `rest` first. */
  giveBack(rest?: Buffer): void {
    this.#channel.owner = this
    this.off('error', NOTHING)
    if (rest !== undefined && rest.length > 0) this.unshift(rest)
    if (this.#channel.ended) this.onEnd()
    else this.#channel.resume()
  }

  override write(chunk: unknown, callback?: Done): boolean
  override write(chunk: unknown, encoding: BufferEncoding, callback?: Done): boolean
  override write(chunk: unknown, encoding?: BufferEncoding | Done, callback?: Done): boolean {
    const held = heldBy(chunk)
    if (held === undefined) return super.write(chunk, encoding as BufferEncoding, callback)
    const done = typeof encoding === 'function' ? encoding : callback
    return super.write(chunk, (error) => {
      // Destroyed before: it would stay allocated until somebody collects the Buffer.
      if (error != null) held.release()
      done?.(error)
    })
  }

  override end(callback?: () => void): this
  override end(chunk: unknown, callback?: () => void): this
  override end(chunk: unknown, encoding: BufferEncoding, callback?: () => void): this
  override end(chunk?: unknown, encoding?: unknown, callback?: unknown): this {
    if (heldBy(chunk) === undefined) {
      return super.end(chunk, encoding as BufferEncoding, callback as () => void)
    }
    this.write(chunk)
    return super.end((typeof encoding === 'function' ? encoding : callback) as () => void)
  }

  /** @internal */
  onBytes(chunk: Buffer, lease: Lease | undefined): void {
    if (this.destroyed) return
    this.moved()
    if (lease !== undefined && this.#leaseTaker !== undefined && this.#lends(chunk)) {
      this.#leaseTaker(chunk, lease)
      return
    }
    if (!(lease === undefined ? this.push(chunk) : this.#pushShared(chunk))) this.#channel.pause()
  }

  /** A copy, or with an encoding set text. */
  #pushShared(chunk: Buffer): boolean {
    if (this.readableEncoding !== null) return pushText(this, chunk)
    noteBuffers(chunk.length)
    return this.push(Buffer.from(chunk))
  }

  /** @internal */
  onDrain(): void {}

  /** @internal */
  onEnd(): void {
    this.push(null)
    // shmipc has no half-close: its peer will not read either.
    if (this.#channel.finished && !this.writableEnded) this.end()
  }

  /** @internal */
  onClose(): void {}

  /** @internal */
  fail(error: Error): void {
    if (this.#channel.owner !== this) this.destroy(error)
    // As with a socket not in the turn that brought what was sent before: those who were told of
    // that, or have awaited it, can read and listen first.
    else setImmediate(() => this.destroy(error))
  }

  /** @internal */
  failWrites(error: Error): void {
    if (this.#channel.owner !== this) this.destroy(error)
  }

  override _read(): void {
    this.#channel.resume()
  }

  override _write(chunk: Buffer | string, encoding: BufferEncoding, done: Done): void {
    const { channel } = this
    this.moved()
    channel.write('', chunk, encoding, '', () => done(channel.writeError))
  }

  override _writev(chunks: readonly Piece[], done: Done): void {
    const { channel } = this
    this.moved()
    const buffers = chunks.map(toBuffer)
    const bytes = buffers.reduce((sum, buffer) => sum + buffer.length, 0)
    const parts = bytes <= MAX_JOINED_BYTES ? [join(buffers, bytes)] : buffers
    const last = parts.pop()
    for (const part of parts) channel.write('', part, 'latin1', '')
    channel.write('', last, 'latin1', '', () => done(channel.writeError))
  }

  override _final(done: Done): void {
    this.#channel.finish(done)
  }

  override _destroy(error: Error | null, done: Done): void {
    this.#channel.shut(error ?? undefined)
    this.unref()
    super._destroy(error, done)
  }

  /** Keeps the process alive while it is open; at first it does. */
  ref(): this {
    if (!this.#referenced && !this.destroyed) {
      this.#referenced = true
      this.#channel.session.ref()
    }
    return this
  }

  unref(): this {
    if (this.#referenced) {
      this.#referenced = false
      this.#channel.session.unref()
    }
    return this
  }

  /** What arrives now may be lent: it is large, wanted now, and nothing copied waits before it. */
  #lends(chunk: Buffer): boolean {
    return (
      chunk.length >= MIN_LENT_BYTES && this.readableFlowing === true && this.readableLength === 0
    )
  }
}

interface Piece {
  readonly chunk: Buffer | string
  readonly encoding: BufferEncoding
}

type Done = (error?: Error | null) => void

const NOTHING = () => undefined

function join(buffers: readonly Buffer[], bytes: number): Buffer {
  const joined = Buffer.concat(buffers, bytes)
  // Copied, it is as good as sent.
  for (const buffer of buffers) heldBy(buffer)?.release()
  return joined
}

/** The slice of ours that `chunk`, from `alloc`, is the memory of. */
function heldBy(chunk: unknown): HeldSlice | undefined {
  return Buffer.isBuffer(chunk) && chunk.length >= MIN_HELD_BYTES ? HeldSlice.of(chunk) : undefined
}

function toBuffer({ chunk, encoding }: Piece): Buffer {
  return typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk
}
