import type { Duplex } from 'node:stream'
import { CHUNK_END, chunkHeader } from '../adapter/http1/index.ts'
import type { Lease } from '../adapter/shmipc/index.ts'

/** Up to here copying the parts into one buffer is cheaper than a vectored write of them. */
const JOIN_LIMIT_BYTES = 16 * 1024

/**
 * What is about to be written to one stream. Parts gathered while one piece of input is parsed
 * leave in one write: a head and its small body cost one system call, or one ring element.
 */
export class Outgoing {
  readonly #stream: Duplex
  readonly #parts: (string | Buffer)[] = []
  /** Of the parts that are views of shared memory. */
  readonly #leases: (Lease | undefined)[] = []
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
    this.#leases.push(undefined)
    this.#bytes += text.length
  }

  /**
   * Adds `chunk` as it is. It must stay unchanged until the stream has taken it.
   *
   * @param lease of the shared memory `chunk` is a view of: held until it is written
   */
  data(chunk: Buffer, lease?: Lease): void {
    lease?.hold()
    this.#parts.push(chunk)
    this.#leases.push(lease)
    this.#bytes += chunk.length
  }

  /** Adds `chunk` in chunked coding (RFC 9112 7.1). */
  chunked(chunk: Buffer, lease?: Lease): void {
    this.text(chunkHeader(chunk.length))
    this.data(chunk, lease)
    this.text(CHUNK_END)
  }

  /** Hands over everything added; returns {@link blocked}. */
  flush(): boolean {
    const parts = this.#parts
    if (parts.length === 0) return this.blocked
    if (parts.length === 1) this.#write(0)
    else if (this.#bytes <= JOIN_LIMIT_BYTES) this.#writeJoined()
    else this.#writeEach()
    this.#clear()
    return this.blocked
  }

  /** Forgets what was added: the stream is gone. */
  discard(): void {
    for (const lease of this.#leases) lease?.release()
    this.#clear()
  }

  #clear(): void {
    this.#parts.length = 0
    this.#leases.length = 0
    this.#bytes = 0
  }

  #write(index: number): void {
    const part = this.#parts[index] as string | Buffer
    if (typeof part === 'string') this.#stream.write(part, 'latin1')
    else this.#stream.write(part, this.#leases[index]?.drop)
  }

  #writeEach(): void {
    this.#stream.cork()
    for (let i = 0; i < this.#parts.length; i++) this.#write(i)
    this.#stream.uncork()
  }

  #writeJoined(): void {
    this.#stream.write(this.#join())
    for (const lease of this.#leases) lease?.release()
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
