import { type Headers, LAST_CHUNK, writeTrailers } from '../adapter/http1/codec.ts'
import { trailerFields } from './headers/hop-by-hop.ts'
import type { Outgoing } from './wire/outgoing.ts'

/** A body in more pieces than this is not worth keeping: the bookkeeping outweighs the bytes. */
const MAX_CHUNKS = 4096

/**
 * A request's body: what has not been sent yet, and what is kept to be sent once more. What waits to be sent the first time is bounded because the client is not read
 * meanwhile.
 */
export class RequestBody {
  /** The last byte has come from the client. */
  complete = false
  readonly #chunked: boolean
  readonly #limitBytes: number
  #chunks: Buffer[] = []
  #bytes = 0
  #keeping: boolean
  #lost = false
  #trailers: Headers = []

  /** What is sent now must be kept to be sent once more. */
  get keeps(): boolean {
    return this.#keeping
  }

  /** The rest went another way: nothing can be sent once more. */
  passed(): void {
    this.forget()
    this.#lost = true
  }

  /** @param limitBytes once more than this has been sent, nothing is kept */
  constructor(chunked: boolean, limitBytes: number) {
    this.#chunked = chunked
    this.#limitBytes = limitBytes
    this.#keeping = limitBytes > 0
  }

  /** Everything that came so far can be sent again. */
  get replayable(): boolean {
    return !this.#lost
  }

  /**
   * @param chunk valid during the call
   * @param out where it goes at once; `undefined` while there is no connection
   */
  add(chunk: Buffer, out: Outgoing | undefined): void {
    if (out !== undefined) this.#write(chunk, out)
    if (out !== undefined && !this.#keeping) {
      this.#lost = true
      return
    }
    // The client's next bytes are read to the same place.
    this.#chunks.push(Buffer.from(chunk))
    this.#bytes += chunk.length
    if (out !== undefined) this.#forgetSurplus()
  }

  end(trailers: Headers, out: Outgoing | undefined): void {
    this.complete = true
    this.#trailers = trailers
    if (out !== undefined) this.#writeEnd(out)
  }

  /** Sends everything that came so far, the first time or once more. */
  sendAll(out: Outgoing): void {
    for (const chunk of this.#chunks) this.#write(chunk, out)
    if (this.complete) this.#writeEnd(out)
    this.#forgetSurplus()
  }

  /** What has been sent will not be sent again. */
  forget(): void {
    this.#keeping = false
    if (this.#chunks.length === 0) return
    this.#lost = true
    this.#chunks = []
  }

  #forgetSurplus(): void {
    if (this.#bytes > this.#limitBytes || this.#chunks.length > MAX_CHUNKS) this.forget()
  }

  #write(chunk: Buffer, out: Outgoing): void {
    if (this.#chunked) out.chunked(chunk)
    else out.data(chunk)
  }

  #writeEnd(out: Outgoing): void {
    if (!this.#chunked) return
    const trailers = trailerFields(this.#trailers)
    out.text(trailers.length === 0 ? LAST_CHUNK : writeTrailers(trailers))
  }
}
