import type { Channel } from './channel.ts'
import { HeldSlice } from './held-slice.ts'
import { type InPlace, placeOf, sendInPlace } from './in-place.ts'
import { sendInOneSlice } from './one-slice.ts'
import type { ShmSession } from './session.ts'
import { Status } from './status.ts'

/** Most bytes of one message: what a slice of the 1 MiB class holds, a body and its head. */
const MAX_MESSAGE_BYTES = 1028 * 1024
/** A message may start on any credit, and exceeds it by this at most. */
const MAX_OVERSHOOT_BYTES = 256 * 1024
/** More than this waiting: the writer should wait, too. As `net.Socket`'s high-water mark. */
const HIGH_WATER_BYTES = 64 * 1024
/**
 * How long a message waits for slices before it goes by the socket to plain shmipc, in ms: after one
 * such message shmipc-go opens no stream for 30 s.
 */
const LAST_RESORT_MS = 1000

interface Waiting {
  readonly buffer: Buffer
  readonly own: InPlace | undefined
  readonly taken: (() => void) | undefined
}

/**
 * The sending half of a channel: shared memory while there are slices and credit, the session's
 * socket while there are no slices, in order.
 *
 * After a message went by the socket all that follows does too, until the peer has credited every
 * byte: only then is nothing on the socket that a ring event could overtake.
 */
export class ChannelWriter {
  readonly #channel: Channel
  readonly #session: ShmSession
  readonly #id: number
  /** Bytes that may be sent now; a message may start while it is positive. */
  #credit: number
  /** Sent and not credited. */
  #outstanding = 0
  readonly #queue: Waiting[] = []
  /** Sent bytes of the queue's first buffer. */
  #offset = 0
  #waitingSince = 0
  #fallback = false
  /** No credit tells when the peer has read that end: what follows, a reset, goes behind it. */
  #endedBySocket = false
  /** Parts the kernel has not taken yet: their buffers are still the caller's. */
  #inSocket = 0
  /** After the last of the queue the peer is told the end. */
  #ending = false
  #continuing = false
  /** {@link write} has not returned. */
  #writing = false
  #stopped = false
  /** Why nothing more can be written, when the peer stopped reading. */
  error: Error | undefined
  /** Bytes taken and not yet in shared memory or with the kernel. */
  length = 0
  fallbackBytes = 0
  bytesWritten = 0
  /** The peer knows of the stream. */
  started = false

  constructor(channel: Channel, session: ShmSession, id: number) {
    this.#channel = channel
    this.#session = session
    this.#id = id
    this.#credit = session.peerWindow
  }

  /** See `Channel.write`; `copied` as `Channel.writeCopied`. */
  write(
    before: string,
    body: Buffer | string | undefined,
    encoding: BufferEncoding,
    after: string,
    taken: (() => void) | undefined,
    copied = false
  ): boolean {
    if (this.#stopped) {
      taken?.()
      return true
    }
    const own = placeOf(body)
    if (own === undefined && this.#queue.length === 0 && !this.#fallback && this.#credit > 0) {
      const bytes = sendInOneSlice(
        this.#session,
        this.#id,
        before,
        body,
        encoding,
        after,
        this.#mostBytes
      )
      if (bytes >= 0) {
        if (bytes > 0) this.#sent(bytes)
        taken?.()
        return true
      }
    }
    const queued = this.#queue.length > 0
    if (before !== '') this.#add(Buffer.from(before, 'latin1'))
    if (typeof body === 'string') this.#add(Buffer.from(body, encoding), taken)
    else if (body !== undefined) this.#add(copied ? Buffer.from(body) : body, taken, own)
    if (after !== '') this.#add(Buffer.from(after, 'latin1'))
    if (!queued) this.#begin()
    return this.length <= HIGH_WATER_BYTES
  }

  /** See `Channel.writeHeld`. */
  writeHeld(held: HeldSlice, bytes: number): boolean {
    if (this.#stopped) {
      held.release()
      return true
    }
    const queued = this.#queue.length > 0
    this.#add(held.view.subarray(0, bytes), undefined, held)
    if (!queued) this.#begin()
    return this.length <= HIGH_WATER_BYTES
  }

  /** Bytes that may be sent now. */
  get credit(): number {
    return this.#credit
  }

  /** Bytes sent and not credited. */
  get unacknowledged(): number {
    return this.#outstanding
  }

  /** It sends by the socket. */
  get fellBack(): boolean {
    return this.#fallback
  }

  end(): void {
    if (this.#stopped) return
    this.#ending = true
    this.#settle()
  }

  onCredit(bytes: number): void {
    this.#outstanding -= bytes
    this.#credit += bytes
    if (this.#outstanding <= 0 && !this.#endedBySocket) this.#fallback = false
    if (this.#queue.length > 0) this.#continue()
  }

  /** Sends all that follows by the socket. */
  fallBack(): void {
    this.#fallback = true
  }

  /** An event without data, in order with what was written. `sent` when it cannot get lost. */
  signal(
    status: typeof Status.close | typeof Status.fin | typeof Status.reset,
    sent?: () => void
  ): void {
    this.started = true
    this.#endedBySocket = this.#fallback
    if (this.#fallback && status !== Status.close) {
      this.#session.outbox.sendFallback(this.#id, status, undefined, sent)
      return
    }
    if (this.#fallback) this.#session.outbox.sendStreamClose(this.#id)
    else this.#session.outbox.signal(this.#id, status, 0)
    sent?.()
  }

  /** Writes nothing more; what waits is dropped. */
  stop(error?: Error): void {
    this.#stopped = true
    this.error ??= error
    this.#session.waiters.forget(this.#continue)
    const dropped = this.#queue.splice(0)
    this.length = 0
    for (const { own, taken } of dropped) {
      if (own instanceof HeldSlice) own.release()
      taken?.()
    }
    if (dropped.length > 0) this.#channel.owner.onDrain()
  }

  /** Of the next message. */
  get #mostBytes(): number {
    return Math.min(MAX_MESSAGE_BYTES, this.#credit + MAX_OVERSHOOT_BYTES)
  }

  #add(buffer: Buffer, taken?: () => void, own?: InPlace): void {
    // Nothing is taken before what was written before it.
    if (buffer.length === 0 && this.#queue.length === 0) {
      if (own instanceof HeldSlice) own.release()
      taken?.()
      return
    }
    this.#queue.push({ buffer, own, taken })
    this.length += buffer.length
  }

  /**
   * Sends what has just been written, behind nothing that waits. Who writes is not told meanwhile
   * that all is sent: it may be in the middle of writing more, and would begin with something else.
   */
  #begin(): void {
    if (this.#continuing) return
    this.#writing = true
    try {
      this.#continue()
    } finally {
      this.#writing = false
    }
  }

  readonly #continue = (): boolean => {
    // Called again by what `taken` or `onDrain` leads to: the outer call goes on with it.
    if (this.#continuing) return true
    this.#continuing = true
    try {
      return this.#sendQueue()
    } finally {
      this.#continuing = false
    }
  }

  /** @returns false when it must be called again, for want of slices or of room in the ring */
  #sendQueue(): boolean {
    do {
      while (this.#queue.length > 0) {
        const { buffer, own } = this.#queue[0]!
        if (buffer.length === 0) {
          this.#advance(0)?.()
          continue
        }
        // onCredit comes back here.
        if (this.#credit <= 0) return true
        const part = Math.min(buffer.length - this.#offset, this.#mostBytes)
        if (this.#fallback) {
          this.#sendBySocket(part)
          continue
        }
        const taken =
          (own !== undefined && this.#offset === 0
            ? sendInPlace(this.#session, this.#id, own, buffer.length)
            : undefined) ?? this.#session.native.write(this.#id, buffer, this.#offset, part)
        if (this.#stopped) return true
        if (taken === 0) {
          if (this.#mayWait()) return false
          continue
        }
        if (this.#waitingSince !== 0) this.#session.waiters.served()
        this.#waitingSince = 0
        this.#sent(taken)
        this.length -= taken
        const done = this.#advance(taken)
        done?.()
      }
      this.#settle()
      // Who was told of it may have written more.
    } while (this.#queue.length > 0)
    return true
  }

  /** @returns what to call when the first buffer's last byte was among them */
  #advance(bytes: number): (() => void) | undefined {
    const { buffer, own, taken } = this.#queue[0]!
    this.#offset += bytes
    if (this.#offset < buffer.length) return undefined
    this.#queue.shift()
    this.#offset = 0
    if (!(own instanceof HeldSlice)) return taken
    // Copied after all, by the socket perhaps, which may still be reading it.
    return () => {
      own.release()
      taken?.()
    }
  }

  /** No slice or no room: soon again, by the socket when it takes too long. */
  #mayWait(): boolean {
    const { waiters, peer } = this.#session
    const now = performance.now()
    if (this.#waitingSince === 0) this.#waitingSince = now
    const since = this.#waitingSince
    if (peer === 'shmesh' ? waiters.mayWait(since) : now - since < LAST_RESORT_MS) {
      waiters.wait(this.#continue)
      return true
    }
    this.#waitingSince = 0
    this.#fallback = true
    this.#session.outbox.fallbacks.turned(this.#session.native)
    return false
  }

  #sendBySocket(bytes: number): void {
    const { buffer } = this.#queue[0]!
    const data = buffer.subarray(this.#offset, this.#offset + bytes)
    const done = this.#advance(bytes)
    this.fallbackBytes += bytes
    this.#sent(bytes)
    this.#inSocket++
    this.#session.outbox.sendFallback(this.#id, Status.data, data, (error) => {
      this.#inSocket--
      if (!this.#stopped) this.length -= bytes
      done?.()
      // A failed socket ends the session, and with it this channel.
      if (error == null) this.#settle()
    })
  }

  /** Tells the owner, or the peer, when all has been taken. */
  #settle(): void {
    if (this.#queue.length + this.#inSocket > 0 || this.#stopped) return
    if (this.#ending) {
      this.#ending = false
      this.#channel.onFlushed()
    }
    if (!this.#writing) this.#channel.owner.onDrain()
  }

  #sent(bytes: number): void {
    this.started = true
    this.bytesWritten += bytes
    this.#credit -= bytes
    this.#outstanding += bytes
  }
}
