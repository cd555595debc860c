import { ChunkParser } from './chunk-parser.ts'
import { HttpParseError } from './errors.ts'
import type { ResolvedLimits } from './limits.ts'
import type { Framing } from './message.ts'

interface BodyHandler {
  onBody(chunk: Buffer): void
}

/** The body of one message after another, without trailers. */
export class BodyReader {
  /** The last byte of the body, or the line of the last chunk, has been read. */
  complete = true
  readonly #handler: BodyHandler
  readonly #chunks: ChunkParser
  readonly #maxBytes: number
  #kind: Framing['kind'] = 'none'
  /** Bytes missing of the body, or of the current chunk. */
  #remaining = 0
  #received = 0

  constructor(handler: BodyHandler, limits: ResolvedLimits) {
    this.#handler = handler
    this.#chunks = new ChunkParser(limits.maxChunkOverhead)
    this.#maxBytes = limits.maxBodyBytes
  }

  start(framing: Framing): void {
    this.#kind = framing.kind
    this.#received = 0
    this.#remaining = 0
    this.complete = framing.kind === 'none'
    if (framing.kind === 'length') {
      if (framing.length > this.#maxBytes) throw this.#tooLarge()
      this.#remaining = framing.length
      this.complete = framing.length === 0
    } else if (framing.kind === 'chunked') {
      this.#chunks.start()
    }
  }

  /** Bytes missing of a body whose length is known. */
  get missing(): number {
    return this.#remaining
  }

  /** `bytes` of them went another way. */
  passed(bytes: number): void {
    this.#remaining -= bytes
    this.complete = this.#remaining === 0
  }

  /** Hands out what `chunk` holds of the body; returns the offset behind it. */
  feed(chunk: Buffer, offset: number): number {
    if (this.#kind === 'length') return this.#length(chunk, offset)
    if (this.#kind === 'chunked') return this.#chunked(chunk, offset)
    if (this.#kind === 'close') return this.#close(chunk, offset)
    return offset
  }

  #length(chunk: Buffer, offset: number): number {
    const end = Math.min(offset + this.#remaining, chunk.length)
    if (end === offset) return offset
    this.#remaining -= end - offset
    if (this.#remaining === 0 && this.#kind === 'length') this.complete = true
    this.#handler.onBody(view(chunk, offset, end))
    return end
  }

  #chunked(chunk: Buffer, offset: number): number {
    let at = offset
    while (at < chunk.length) {
      if (this.#remaining === 0) {
        at = this.#chunks.feed(chunk, at)
        if (!this.#chunks.complete) return at
        this.#remaining = this.#chunks.size
        if (this.#remaining === 0) {
          this.complete = true
          return at
        }
        this.#received += this.#remaining
        if (this.#received > this.#maxBytes) throw this.#tooLarge()
        this.#chunks.next()
      } else {
        at = this.#length(chunk, at)
      }
    }
    return at
  }

  #close(chunk: Buffer, offset: number): number {
    if (offset === chunk.length) return offset
    const end = Math.min(chunk.length, offset + this.#maxBytes - this.#received)
    this.#received += end - offset
    if (end > offset) this.#handler.onBody(view(chunk, offset, end))
    if (end < chunk.length) throw this.#tooLarge()
    return end
  }

  #tooLarge(): HttpParseError {
    return new HttpParseError(
      'HTTP_BODY_TOO_LARGE',
      `a body must not be longer than ${this.#maxBytes} bytes; raise maxBodyBytes`,
      413
    )
  }
}

function view(chunk: Buffer, start: number, end: number): Buffer {
  return start === 0 && end === chunk.length ? chunk : chunk.subarray(start, end)
}
