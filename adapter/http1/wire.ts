import type { Duplex } from 'node:stream'

/** The right to read a view of shared memory: ends when every hold was dropped. */
export interface Lease {
  /** One more reader, which calls `drop` once. */
  hold(): void
  /** Others do not go short of memory when it is held for long. */
  readonly mayHold: boolean
  readonly drop: () => void
  /**
   * The bytes of `view` for code that may keep them too long: empty once the lease has ended. Absent
   * where memory cannot be taken away again.
   */
  detachable?(view: Buffer): Buffer
}

/** Where bytes go. A stream of shared memory, or an adapter around a socket. */
export interface Wire {
  /**
   * Takes all, at once, in order; what is small leaves as one message. Buffers must not change
   * until they are taken.
   *
   * @param before latin1 text, '' for none
   * @param after latin1 text behind `body`, '' for none
   * @returns false when so much waits that the caller should, for `onDrain`
   */
  write(
    before: string,
    body: Buffer | string | undefined,
    encoding: BufferEncoding,
    after: string
  ): boolean
  /** `body` will never be written here: memory that was allocated for it is not needed any more. */
  discard?(body: Buffer): void
  /** Bytes taken and not yet in shared memory or with the kernel. */
  readonly writableLength: number
  /** Half-close, after all that was written. */
  end(): void
  destroy(error?: Error): void
  /** Nothing is delivered until `resume`; what arrives meanwhile is bounded by the stream's window. */
  pause(): void
  resume(): void
  /** A message has been read to its end. What its readers still hold must not stop the next one. */
  settle(): void
}

/** Who is told what comes by a wire. */
export interface WireOwner {
  /** @param lease undefined: `chunk` is the owner's for good. Else a view, valid during the call and while held */
  onBytes(chunk: Buffer, lease: Lease | undefined): void
  /** All that was written has been taken; may come from within `write`. */
  onDrain(): void
  /** The peer sends no more. */
  onEnd(): void
  /** Once, last. */
  onClose(error: Error | undefined): void
}

/** A connection whose bytes a codec of ours can have, and give back for upgrades. */
export interface Carrier {
  /** What others know of the connection: `socket` of a request, an upgraded stream. */
  readonly duplex: Duplex
  /** It serves what is under way and must not be given anything new. */
  readonly retiring: boolean
  /** From here on all that arrives goes to `owner`. */
  takeOver(owner: WireOwner): Wire
  /** Ends `takeOver`: `duplex` is an ordinary stream again, which reads `rest` first. */
  giveBack(rest: Buffer): void
  /** Keeps the process alive, as it does at first. */
  ref(): void
  unref(): void
}
