import type { ShmSession } from './session.ts'
import { Status } from './status.ts'

/** Most bytes of one message: a message may start on any credit, so this bounds the overshoot. */
const MAX_MESSAGE_BYTES = 256 * 1024
/** Messages up to here are gathered into one slice chain even when they come in several pieces. */
const MAX_GATHERED_BYTES = 32 * 1024
/** How long a message waits for slices before it goes by the socket, in ms. */
const FALLBACK_AFTER_MS = 10
/** Encodings of which `Buffer.byteLength` counts characters that decode to nothing. */
const GUESSED_LENGTH = /^(hex|base64)/i

export interface Piece {
  readonly chunk: Buffer | string
  readonly encoding: BufferEncoding
}

type Done = (error?: Error | null) => void

/**
 * The sending half of a stream: shared memory while there are slices and credit, the session's
 * socket while there are no slices, in order.
 *
 * After a message went by the socket all that follows does too, until the peer has credited every
 * byte: only then is nothing on the socket that a ring event could overtake.
 */
export class StreamWriter {
  readonly #session: ShmSession
  readonly #id: number
  /** Bytes that may be sent now; a message may start while it is positive. */
  #credit: number
  /** Sent and not credited. */
  #outstanding = 0
  #queue: Buffer[] = []
  /** Sent bytes of the queue's first buffer. */
  #offset = 0
  #done: Done | undefined
  #waitingSince = 0
  #fallback = false
  /** Parts the kernel has not taken yet: their buffers are still the caller's. */
  #inSocket = 0
  #stopped = false
  #error: Error | undefined
  fallbackBytes = 0
  bytesWritten = 0
  /** The peer knows of the stream. */
  started = false

  constructor(session: ShmSession, id: number) {
    this.#session = session
    this.#id = id
    this.#credit = session.peerWindow
  }

  /** `done` is called when all of it is in shared memory or in the kernel. One at a time. */
  write(pieces: readonly Piece[], done: Done): void {
    if (this.#stopped) {
      done(this.#error)
      return
    }
    if (!this.#fallback && this.#credit > 0 && this.#gather(pieces)) {
      done()
      return
    }
    this.#queue = pieces.map(toBuffer)
    this.#offset = 0
    this.#done = done
    this.#continue()
  }

  onCredit(bytes: number): void {
    this.#outstanding -= bytes
    this.#credit += bytes
    if (this.#outstanding <= 0) this.#fallback = false
    if (this.#done !== undefined) this.#continue()
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
    if (this.#fallback && status !== Status.close) {
      this.#session.sendFallback(this.#id, status, undefined, sent)
      return
    }
    if (this.#fallback) this.#session.sendStreamClose(this.#id)
    else this.#session.signal(this.#id, status, 0)
    sent?.()
  }

  /** Writes nothing more. A pending write fails with `error`, or ends when the stream knows why. */
  stop(error?: Error): void {
    this.#stopped = true
    this.#error = error
    this.#session.waiters.forget(this.#continue)
    this.#queue = []
    const done = this.#done
    this.#done = undefined
    done?.(error)
  }

  /** Small writes: all pieces into one slice, strings encoded in place. */
  #gather(pieces: readonly Piece[]): boolean {
    let bytes = 0
    for (const { chunk, encoding } of pieces) {
      // Their length is a guess: bytes that turn out missing would be sent as they lie in memory.
      if (typeof chunk === 'string' && GUESSED_LENGTH.test(encoding)) return false
      bytes += typeof chunk === 'string' ? Buffer.byteLength(chunk, encoding) : chunk.length
    }
    if (bytes === 0) return true
    if (bytes > MAX_GATHERED_BYTES) return false
    const { native, spans, memory } = this.#session
    // Shared by two slices it would be: the general way does that. What is not sent is taken back
    // by the next allocation.
    if (native.allocate(bytes) !== 1 || spans[1] !== bytes) return false
    let at = spans[0]!
    for (const { chunk, encoding } of pieces) {
      at += typeof chunk === 'string' ? memory.write(chunk, at, encoding) : chunk.copy(memory, at)
    }
    if (!native.send(this.#id)) return false
    this.#sent(bytes)
    return true
  }

  readonly #continue = (): boolean => {
    while (this.#queue.length > 0) {
      const buffer = this.#queue[0]!
      const left = buffer.length - this.#offset
      if (left === 0) {
        this.#queue.shift()
        this.#offset = 0
        continue
      }
      // onCredit comes back here.
      if (this.#credit <= 0) return true
      const part = Math.min(left, MAX_MESSAGE_BYTES)
      if (this.#fallback) {
        this.#sendBySocket(buffer.subarray(this.#offset, this.#offset + part))
        return true
      }
      const taken = this.#session.native.write(this.#id, buffer, this.#offset, part)
      if (this.#stopped) return true
      if (taken === 0) return this.#wait()
      this.#waitingSince = 0
      this.#offset += taken
      this.#sent(taken)
    }
    if (this.#inSocket > 0) return true
    const done = this.#done
    this.#done = undefined
    done?.()
    return true
  }

  /** No slice or no room: soon again, by the socket when it takes too long. */
  #wait(): boolean {
    const now = performance.now()
    if (this.#waitingSince === 0) this.#waitingSince = now
    if (now - this.#waitingSince >= FALLBACK_AFTER_MS) {
      this.#waitingSince = 0
      this.#fallback = true
      return this.#continue()
    }
    this.#session.waiters.wait(this.#continue)
    return false
  }

  #sendBySocket(data: Buffer): void {
    this.#offset += data.length
    this.fallbackBytes += data.length
    this.#sent(data.length)
    this.#inSocket++
    this.#session.sendFallback(this.#id, Status.data, data, (error) => {
      this.#inSocket--
      // A failed socket ends the session, and with it this stream.
      if (error == null && this.#done !== undefined) this.#continue()
    })
  }

  #sent(bytes: number): void {
    this.started = true
    this.bytesWritten += bytes
    this.#credit -= bytes
    this.#outstanding += bytes
  }
}

function toBuffer({ chunk, encoding }: Piece): Buffer {
  return typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk
}
