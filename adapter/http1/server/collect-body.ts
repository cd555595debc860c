import type { Readable } from 'node:stream'
import { noteBuffers } from '../../scavenges.ts'
import { withSafeText } from '../../shared-text.ts'
import type { Lease } from '../wire.ts'
import type { BodyMemory } from './body-memory.ts'
import { type BodyTaker, WireRequest } from './request.ts'

/** A body came that is longer than was allowed. */
export class BodyTooLongError extends Error {
  override readonly name = 'BodyTooLongError'
}

type Done = (error: Error | null, body?: Buffer) => void

export interface CollectOptions {
  /** Longest body, bytes. */
  readonly limit: number
  /** Bytes the head announced; undefined for a chunked body. */
  readonly length: number | undefined
  /** Where large bodies go, until `release`. Undefined: into memory of their own. */
  readonly memory?: BodyMemory | undefined
}

/** Below, a body is copied into memory of its own in any case. */
const MIN_POOLED_BYTES = 16 * 1024

/** First size of a body whose length is not known. */
const FIRST_BYTES = 16 * 1024

/**
 * The whole body as one Buffer, copied once, from where it arrived to where it stays; not at all
 * when it arrived in one piece and will be given back.
 *
 * @returns with `memory`: must be called when the body is not needed any more, which is empty then
 */
export function collectBody(body: Readable, options: CollectOptions, done: Done): () => void {
  const collector = new Collector(options, done)
  if (body instanceof WireRequest && body.readableFlowing === null) {
    while (body.readableLength > 0) collector.onBody(body.read())
    if (!collector.over) body.lendTo(collector)
    return collector.release
  }
  body.on('data', (chunk: Buffer | string) => {
    collector.onBody(typeof chunk === 'string' ? Buffer.from(chunk) : chunk)
  })
  body.once('end', () => collector.onBodyEnd(undefined))
  body.once('error', (error) => collector.onBodyEnd(error))
  return collector.release
}

class Collector implements BodyTaker {
  over = false
  readonly #options: CollectOptions
  readonly #done: Done
  #pooled: ArrayBuffer | undefined
  /** Of a body that stays where it arrived. */
  #lease: Lease | undefined
  #bytes: Buffer = Buffer.alloc(0)
  #length = 0

  constructor(options: CollectOptions, done: Done) {
    this.#options = options
    this.#done = done
    if ((options.length ?? 0) > options.limit) this.#settle(new BodyTooLongError())
  }

  onBody(chunk: Buffer, lease?: Lease): void {
    if (this.over || this.#stays(chunk, lease)) return
    const length = this.#length + chunk.length
    if (length > this.#options.limit) {
      this.#settle(new BodyTooLongError())
      return
    }
    if (length > this.#bytes.length) this.#grow(length)
    chunk.copy(this.#bytes, this.#length)
    this.#length = length
  }

  onBodyEnd(error: Error | undefined): void {
    if (!this.over) this.#settle(error ?? null)
  }

  readonly release = (): void => {
    this.#lease?.drop()
    this.#lease = undefined
    const pooled = this.#pooled
    this.#pooled = undefined
    if (pooled !== undefined) this.#options.memory?.giveBack(pooled)
  }

  /** A body that arrived in one piece, for a reader who gives it back, is not copied at all. */
  #stays(chunk: Buffer, lease: Lease | undefined): boolean {
    const { length, memory } = this.#options
    if (memory === undefined || length !== chunk.length || length < MIN_POOLED_BYTES) return false
    if (lease?.detachable === undefined) return false
    lease.hold()
    this.#lease = lease
    this.#bytes = withSafeText(lease.detachable(chunk))
    this.#length = length
    return true
  }

  #settle(error: Error | null): void {
    this.over = true
    if (error !== null) this.#done(error)
    else if (this.#length === this.#bytes.length) this.#done(null, this.#bytes)
    else this.#done(null, this.#bytes.subarray(0, this.#length))
  }

  #grow(needed: number): void {
    const { length, memory } = this.#options
    const size = length ?? Math.max(FIRST_BYTES, 2 * needed)
    const earlier = this.#bytes
    const earlierPooled = this.#pooled
    if (memory === undefined || size < MIN_POOLED_BYTES) {
      noteBuffers(size)
      this.#bytes = Buffer.allocUnsafe(size)
    } else {
      this.#pooled = memory.take(size)
      this.#bytes = Buffer.from(this.#pooled, 0, size)
    }
    earlier.copy(this.#bytes, 0, 0, this.#length)
    if (earlierPooled !== undefined) memory?.giveBack(earlierPooled)
  }
}
