import type { Duplex } from 'node:stream'
import { CHUNK_END, chunkHeader } from '../adapter/http1/index.ts'

/** Up to here copying the parts into one buffer is cheaper than a vectored write of them. */
const JOIN_LIMIT_BYTES = 16 * 1024

/**
 * What is about to be written to one stream. Parts gathered while one piece of input is parsed
 * leave in one write: a head and its small body cost one system call, or one ring element.
 */
export class Outgoing {
  readonly #stream: Duplex
  readonly #parts: (string | Buffer)[] = []
  #bytes = 0

  constructor(stream: Duplex) {
    this.#stream = stream
  }

  /** The stream still holds bytes and will emit 'drain': its source must pause until then. */
  get blocked(): boolean {
    // write() also returns false when everything went out at once; only what is left counts.
    return this.#stream.writableNeedDrain && this.#stream.writableLength > 0
  }

  /** Adds Latin-1 text: a head, a chunk's size line. */
  text(text: string): void {
    this.#parts.push(text)
    this.#bytes += text.length
  }

  /** Adds `chunk` as it is. It must stay unchanged until the stream has taken it. */
  data(chunk: Buffer): void {
    this.#parts.push(chunk)
    this.#bytes += chunk.length
  }

  /** Adds `chunk` in chunked coding (RFC 9112 7.1). */
  chunked(chunk: Buffer): void {
    this.text(chunkHeader(chunk.length))
    this.data(chunk)
    this.text(CHUNK_END)
  }

  /** Hands over everything added; returns {@link blocked}. */
  flush(): boolean {
    const parts = this.#parts
    if (parts.length === 0) return this.blocked
    if (parts.length === 1) this.#write(parts[0] as string | Buffer)
    else if (this.#bytes <= JOIN_LIMIT_BYTES) this.#stream.write(this.#join())
    else this.#writeEach()
    parts.length = 0
    this.#bytes = 0
    return this.blocked
  }

  #write(part: string | Buffer): void {
    if (typeof part === 'string') this.#stream.write(part, 'latin1')
    else this.#stream.write(part)
  }

  #writeEach(): void {
    this.#stream.cork()
    for (const part of this.#parts) this.#write(part)
    this.#stream.uncork()
  }

  #join(): Buffer {
    const joined = Buffer.allocUnsafe(this.#bytes)
    let at = 0
    for (const part of this.#parts) {
      at += typeof part === 'string' ? joined.write(part, at, 'latin1') : part.copy(joined, at)
    }
    return joined
  }
}
