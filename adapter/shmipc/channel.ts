import { ConnectionResetError } from '../errors.ts'
import { ChannelWriter } from './channel-writer.ts'
import { HeldSlice } from './held-slice.ts'
import { Inbox } from './inbox.ts'
import type { Lease } from './lease.ts'
import { ReceiveWindow } from './receive-window.ts'
import type { ShmSession } from './session.ts'
import type { StreamStatistics } from './session-statistics.ts'
import type { SliceRef } from './slice-ref.ts'
import { Status } from './status.ts'

/** Bytes that wait to be read of a plain shmipc peer's stream, whose sender knows no window. */
const MAX_UNREAD_BYTES = 64 * 1024 * 1024

/** By the directions that have ended: the peer's, ours. */
const STATES = ['open', 'ended by peer', 'ended by us', 'ended'] as const

/** Who a channel tells what arrives. Called from within the event loop's turn that brought it. */
export interface ChannelOwner {
  /**
   * @param lease undefined: `chunk` is the owner's for good. Else `chunk` is a view of shared
   *   memory, valid during the call and for as long as the lease is held
   */
  onBytes(chunk: Buffer, lease: Lease | undefined): void
  /** All that was written is in shared memory or with the kernel. Not within `write`. */
  onDrain(): void
  /** The peer sends no more. */
  onEnd(): void
  /** Once, last. With an error unless both directions had ended or this end destroyed it. */
  onClose(error: Error | undefined): void
}

/** What a channel's owner sees when it is over, and ends it with. */
export interface ChannelFace {
  /** @internal The other end is gone. */
  fail(error: Error): void
  /**
   * @internal The other end, which had ended its own direction, is gone: what is written has no
   * reader.
   */
  failWrites(error: Error): void
  destroy(error?: Error): unknown
}

/**
 * One stream of a session, without `node:stream`: bytes out as they are given, bytes in as views of
 * shared memory, a window in both directions. `ShmStream` is the Duplex over it; codecs that are
 * ours take it over (`ShmStream.takeOver`) and pay for nothing else.
 */
export class Channel {
  readonly id: number
  readonly session: ShmSession
  /** @internal Told what arrives. */
  owner: ChannelOwner
  /** As `net.Socket`'s. */
  bytesRead = 0
  readonly #face: ChannelFace
  readonly #writer: ChannelWriter
  readonly #inbox: Inbox
  readonly #window: ReceiveWindow
  #fallbackReceived = 0
  #slicesReceived = 0
  #peerEnded = false
  /** The peer is gone, of which its owner hears when it has read what was sent before. */
  #unreachable: Error | undefined
  #weEnded = false
  /** The owner's end is where it cannot get lost. */
  #endSent = false
  #shut = false

  /** @internal Channels are made by sessions. */
  constructor(session: ShmSession, id: number, face: ChannelFace, owner: ChannelOwner) {
    this.session = session
    this.id = id
    this.owner = owner
    this.#face = face
    this.#writer = new ChannelWriter(this, session, id)
    this.#window = new ReceiveWindow(session, id)
    this.#inbox = new Inbox(this, this.#window)
  }

  get bytesWritten(): number {
    return this.#writer.bytesWritten
  }

  /** Bytes, both directions, that travelled by the session's socket. */
  get fallbackBytes(): number {
    return this.#fallbackReceived + this.#writer.fallbackBytes
  }

  /** Bytes taken by `write` and not yet in shared memory or with the kernel. */
  get writableLength(): number {
    return this.#writer.length
  }

  /** Why nothing more can be written, when the peer is gone after it ended its own direction. */
  get writeError(): Error | undefined {
    return this.#writer.error
  }

  /** The owner has been told that the peer sends no more. */
  get ended(): boolean {
    return this.#peerEnded && this.#inbox.ended
  }

  /** Both directions ended in order. */
  get finished(): boolean {
    return this.#peerEnded && this.#weEnded
  }

  /**
   * Takes all, at once, in order; what is small leaves as one message. Buffers must not change
   * until they are taken.
   *
   * @param before latin1 text, '' for none
   * @param after latin1 text behind `body`, '' for none
   * @param taken called when `body` is in shared memory or with the kernel, or never will be
   * @returns false when so much waits that the caller should, for `onDrain`
   */
  write(
    before: string,
    body: Buffer | string | undefined,
    encoding: BufferEncoding,
    after: string,
    taken?: () => void
  ): boolean {
    return this.#writer.write(before, body, encoding, after, taken)
  }

  /** As `write`, of bytes that may change after the call: what cannot leave at once is copied. */
  writeCopied(before: string, body: Buffer | undefined, after: string): boolean {
    return this.#writer.write(before, body, 'latin1', after, undefined, true)
  }

  /** A slice for `bytes` in one piece, to be filled and given to `writeHeld`. See `session.hold`. */
  hold(bytes: number): HeldSlice | undefined {
    return this.session.slices.hold(bytes)
  }

  /** The same when it can be had, which takes a moment. See `SliceQueue.wait`. */
  holdSoon(bytes: number, given: (held: HeldSlice | undefined) => void): () => void {
    return this.session.slices.wait(bytes, given)
  }

  /** Sends the first `bytes` of a held slice, after all that was written: no byte is copied. */
  writeHeld(held: HeldSlice, bytes: number): boolean {
    return this.#writer.writeHeld(held, bytes)
  }

  /** `body` will never be written: if it came from `alloc`, it is over. */
  discard(body: Buffer): void {
    HeldSlice.of(body)?.release()
  }

  /** Half-close, after all that was written. Towards plain shmipc, which has none, it waits. */
  end(): void {
    // The peer's close has ended both directions.
    if (this.session.peer === 'shmipc' && this.finished) this.#onEndSent()
    else this.#writer.end()
  }

  destroy(error?: Error): void {
    this.#face.destroy(error)
  }

  /** What arrives from here on stays in shared memory, bounded by the window. */
  pause(): void {
    this.#inbox.pause()
  }

  resume(): void {
    this.#inbox.resume()
  }

  /**
   * A message has been read to its end: what its readers still hold is credited, so that the next
   * one has a whole window however slow they are. What they hold is bounded by `Lease.mayHold`.
   */
  settle(): void {
    this.#window.settle()
  }

  statistics(): StreamStatistics {
    const writer = this.#writer
    return {
      id: this.id,
      state: STATES[Number(this.#peerEnded) + 2 * Number(this.#weEnded)]!,
      transport: writer.fellBack ? 'fallback' : 'shm',
      bytesRead: this.bytesRead,
      bytesWritten: writer.bytesWritten,
      fallbackBytes: this.fallbackBytes,
      waitingToRead: this.#inbox.bytes,
      waitingToWrite: writer.length,
      credit: this.session.peer === 'shmesh' ? writer.credit : null,
      unacknowledged: writer.unacknowledged,
      slicesReceived: this.#slicesReceived,
      slicesHeld: this.#window.leases + this.#inbox.slices
    }
  }

  /** @internal A message, or a part of it, as it lies in shared memory. */
  onView(view: Buffer, slice: SliceRef): void {
    this.#slicesReceived++
    this.bytesRead += view.length
    this.#window.peerFellBack = false
    if (this.#shut || this.#peerEnded) this.session.borrowed.release(slice)
    else {
      this.#inbox.addView(view, slice)
      this.#checkUnread()
    }
  }

  /** @internal A message that came by the socket. */
  onFallback(chunk: Buffer): void {
    if (this.#shut || this.#peerEnded) return
    this.bytesRead += chunk.length
    this.#window.peerFellBack = true
    this.#fallbackReceived += chunk.length
    // Against plain shmipc a stream that received by socket answers by socket.
    if (this.session.peer === 'shmipc') this.#writer.fallBack()
    this.#inbox.addChunk(chunk)
    this.#checkUnread()
  }

  #checkUnread(): void {
    if (this.session.peer === 'shmesh' || this.#inbox.bytes <= MAX_UNREAD_BYTES) return
    const unread = `${MAX_UNREAD_BYTES} bytes wait to be read, and its peer knows no window`
    this.#face.fail(new ConnectionResetError(`the stream was reset: ${unread}`))
  }

  /** @internal */
  onCredit(bytes: number): void {
    this.#writer.onCredit(bytes)
  }

  /** @internal */
  onEnd(status: Status): void {
    if (this.#shut) return
    if (status === Status.reset) {
      this.onReset(new ConnectionResetError('the other end of the stream was destroyed'))
      return
    }
    if (this.#peerEnded) return
    this.#peerEnded = true
    // shmipc has no half-close: the peer will not read either.
    if (status === Status.close) {
      this.#weEnded = true
      this.#writer.stop()
    }
    this.#inbox.addEnd()
  }

  /**
   * @internal The peer is gone, or will not read. As with a socket, what it had sent in full can
   * still be read; the rest fails.
   */
  onReset(error: Error): void {
    if (this.#peerEnded) {
      if (this.#weEnded) return
      this.#writer.stop(error)
      if (this.ended) this.#face.failWrites(error)
      else this.#unreachable = error
      return
    }
    this.#peerEnded = true
    this.#inbox.clear()
    this.#face.fail(error)
  }

  /** @internal The owner has read all that the peer sent, and been told that it was all. */
  onRead(): void {
    if (this.#unreachable !== undefined) this.#face.failWrites(this.#unreachable)
    this.#closeWhenOver()
  }

  /** @internal The session's memory goes: what has arrived in full can still be read. */
  copyOut(): void {
    this.#inbox.copyOut()
  }

  /** @internal All that was written has been taken: tells the peer that it was all. */
  finish(sent: () => void): void {
    if (this.session.peer === 'shmesh' && !this.#weEnded) {
      this.#weEnded = true
      this.#writer.signal(Status.fin, sent)
      return
    }
    // Towards plain shmipc the end is told by `shut`: its close would end both directions.
    sent()
  }

  /** @internal What was written before `end` has been taken. */
  onFlushed(): void {
    this.finish(() => this.#onEndSent())
  }

  #onEndSent(): void {
    this.#endSent = true
    this.#closeWhenOver()
  }

  /** A Duplex destroys itself when both directions have ended; who took it over waits for `onClose`. */
  #closeWhenOver(): void {
    if (this.#endSent && this.ended) process.nextTick(() => this.#face.destroy())
  }

  /** @internal The end of it, whoever wanted it. */
  shut(error: Error | undefined): void {
    if (this.#shut) return
    this.#shut = true
    this.#window.close()
    this.#writer.stop()
    this.#inbox.clear()
    const { session } = this
    // Of a stream that never sent anything the peer knows nothing.
    const early = !this.finished && (this.#writer.started || session.role === 'server')
    if (early && !session.closed) {
      if (session.peer === 'shmesh') this.#writer.signal(Status.reset)
      else if (!this.#weEnded) this.#writer.signal(Status.close)
    }
    if (session.peer === 'shmesh' && this.#writer.unacknowledged > 0) session.leaks.streamEnded()
    // The peer may send until it sees the end, and shmipc-go even after its own when two of its
    // threads use a stream: a server must not take that for a new one.
    const late = session.peer === 'shmesh' ? early && !this.#peerEnded : session.role === 'server'
    session.removeStream(this.id, late)
    this.owner.onClose(error)
  }
}
