import { CHUNK_END, chunkHeader, LAST_CHUNK } from '../writer.ts'
import type { BodySink, BodySource } from './body-source.ts'
import type { ClientConnection } from './connection.ts'

/** Told how the sending of a body goes. */
export interface BodyObserver {
  onBodyPart(chunk: string | Uint8Array): void
  onRequestSent(): void
  onBodyFailed(error: Error): void
  /**
   * The body is longer or shorter than announced: no more of it than that is sent.
   *
   * @throws when that fails the request
   */
  onWrongLength(error: BodyLengthError): void
}

/** The body's length is not the one its request announces. */
export class BodyLengthError extends Error {
  override readonly name: string = 'BodyLengthError'
}

/**
 * Sends the head, and behind it a body that comes in parts. The head waits for the first part: a
 * body that turns out empty is sent as such.
 */
export class RequestWriter implements BodySink {
  readonly #connection: ClientConnection
  readonly #observer: BodyObserver
  readonly #source: BodySource
  /** In bytes; undefined: chunked. */
  readonly #length: number | undefined
  /** Says that it has a body, even when that is empty. */
  readonly #expectsBody: boolean
  /** Up to the framing; '' when it has been sent. */
  #head: string
  #written = 0
  #tooLong = false

  /**
   * @param head as of `writeRequestHead`, without framing and without the empty line; '' when all of
   *   it has been sent
   */
  constructor(
    connection: ClientConnection,
    observer: BodyObserver,
    source: BodySource,
    head: string,
    length: number | undefined,
    expectsBody: boolean
  ) {
    this.#connection = connection
    this.#observer = observer
    this.#source = source
    this.#head = head
    this.#length = length
    this.#expectsBody = expectsBody
    source.start(this)
  }

  /** The connection took all that was written. */
  onDrain(): void {
    this.#source.resume()
  }

  write(chunk: string | Uint8Array): boolean {
    const bytes = Buffer.byteLength(chunk)
    if (bytes === 0) return true
    const length = this.#length
    if (length !== undefined && this.#written + bytes > length) {
      return this.#writeRoom(chunk, length, bytes)
    }
    this.#written += bytes
    let before = this.#head
    this.#head = ''
    let after = ''
    if (length === undefined) {
      before += `${before === '' ? '' : CHUNKED_LINE}${chunkHeader(bytes)}`
      after = CHUNK_END
    } else if (before !== '') before += lengthLine(length)
    const more = this.#connection.write(before, toWritable(chunk), 'utf8', after)
    this.#observer.onBodyPart(chunk)
    return more
  }

  end(): void {
    const length = this.#length
    const short = length !== undefined && this.#written < length
    if (short) {
      try {
        this.#observer.onWrongLength(lengthError(length, this.#written))
      } catch (error) {
        this.fail(error as Error)
        return
      }
    }
    if (this.#head !== '') {
      const framing = this.#expectsBody ? lengthLine(0) : '\r\n'
      this.#connection.write(this.#head + framing, undefined, 'latin1', '')
    } else if (length === undefined) {
      this.#connection.write(LAST_CHUNK, undefined, 'latin1', '')
    }
    // What comes behind a body that is too short would be taken for its rest.
    if (!short || this.#head !== '') this.#connection.sent()
    this.#observer.onRequestSent()
  }

  fail(error: Error): void {
    this.#observer.onBodyFailed(error)
  }

  /** Of a body that is too long: behind its announced end would begin another request. */
  #writeRoom(chunk: string | Uint8Array, length: number, bytes: number): boolean {
    const room = length - this.#written
    if (!this.#tooLong) this.#observer.onWrongLength(lengthError(length, this.#written + bytes))
    this.#tooLong = true
    return room === 0 || this.write(Buffer.from(chunk as Uint8Array).subarray(0, room))
  }
}

/** The last line of a head, with the empty one: the body is chunked, ... */
export const CHUNKED_LINE = 'transfer-encoding: chunked\r\n\r\n'

/** ... or so long, in bytes. */
export function lengthLine(length: number): string {
  return `content-length: ${length}\r\n\r\n`
}

function toWritable(chunk: string | Uint8Array): string | Buffer {
  if (typeof chunk === 'string' || Buffer.isBuffer(chunk)) return chunk
  return Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
}

function lengthError(announced: number, got: number): BodyLengthError {
  return new BodyLengthError(
    `a body must have the ${announced} bytes its request announces, got ${got}`
  )
}
