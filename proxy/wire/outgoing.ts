import process from 'node:process'
import { CHUNK_END, chunkHeader } from '../../adapter/http1/codec.ts'
import type { Lease } from '../../adapter/shmipc/index.ts'
import type { Wire } from './wire.ts'

/** Up to here a chunk is cheaper as a part of the text before it. */
const MAX_FOLDED_BYTES = 2 * 1024
/** Text that has grown to this is written. */
const MAX_TEXT_BYTES = 16 * 1024

/**
 * What is about to be written to a wire. It gathers while one piece of input is parsed: a head and
 * its small body cost one system call, or one ring element.
 */
export class Outgoing {
  readonly #wire: Wire
  #before = ''
  #body: Buffer | undefined
  #lease: Lease | undefined
  #after = ''
  /** {@link flushSoon} will be done. */
  #soon = false

  constructor(wire: Wire) {
    this.#wire = wire
  }

  /** The source of what is written must pause until the wire drains. */
  get blocked(): boolean {
    return this.#wire.blocked
  }

  /** Adds Latin-1 text: a head, a chunk's size line. */
  text(text: string): void {
    if (this.#body === undefined) this.#before += text
    else this.#after += text
  }

  /**
   * Adds `chunk` as it is. It must not change before {@link flush}.
   *
   * @param lease of the shared memory `chunk` is a view of: held until it is written
   */
  data(chunk: Buffer, lease?: Lease): void {
    if (this.#body !== undefined) this.#write()
    if (chunk.length <= MAX_FOLDED_BYTES) {
      this.#before += chunk.toString('latin1')
      if (this.#before.length > MAX_TEXT_BYTES) this.#write()
      return
    }
    lease?.hold()
    this.#body = chunk
    this.#lease = lease
  }

  /** Adds `chunk` in chunked coding (RFC 9112 7.1). */
  chunked(chunk: Buffer, lease?: Lease): void {
    if (this.#body !== undefined) this.#write()
    this.text(chunkHeader(chunk.length))
    this.data(chunk, lease)
    this.text(CHUNK_END)
  }

  /** Hands over everything added; returns {@link blocked}. */
  flush(): boolean {
    if (this.#before !== '' || this.#body !== undefined) this.#write()
    return this.#wire.blocked
  }

  /**
   * {@link flush} before the event loop's turn ends: text alone waits for what else the turn brings,
   * as a head does for its body, which comes right behind it in one of its own.
   */
  flushSoon(): boolean {
    if (this.#body !== undefined) return this.flush()
    if (this.#before !== '' && !this.#soon) {
      this.#soon = true
      process.nextTick(flushLate, this)
    }
    return this.#wire.blocked
  }

  /** @internal */
  flushLate(): void {
    this.#soon = false
    this.flush()
  }

  /** Forgets what was added: the wire is gone. */
  discard(): void {
    this.#lease?.release()
    this.#clear()
  }

  #write(): void {
    const before = this.#before
    const body = this.#body
    const after = this.#after
    const lease = this.#lease
    // First: a wire that breaks meanwhile has it discarded, and the lease must end once.
    this.#clear()
    this.#wire.write(before, body, after, lease)
    lease?.release()
  }

  #clear(): void {
    this.#before = ''
    this.#body = undefined
    this.#lease = undefined
    this.#after = ''
  }
}

// Not a closure: one of each would be made for many responses.
function flushLate(outgoing: Outgoing): void {
  outgoing.flushLate()
}
