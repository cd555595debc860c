import { BodyReader } from './body-reader.ts'
import { HttpParseError } from './errors.ts'
import type { FieldParser } from './field-parser.ts'
import type { ResolvedLimits } from './limits.ts'
import { LineDecoder, type LineParser } from './line-decoder.ts'
import type { Framing, MessageHandler } from './message.ts'
import type { Scratch } from './scratch.ts'

/** What differs between requests and responses. */
export interface HeadParser<H> extends LineParser {
  /** The parser of the field lines; trailers go through the same one once the head is taken. */
  readonly fields: FieldParser
  /** A byte of the message has been used up. */
  readonly begun: boolean
  /** A message has to come: the connection may not end before it. */
  readonly awaited: boolean
  start(): void
  /** The head that is complete. Throws when its fields contradict each other. */
  take(): H
  /** The head taken is followed by another head, not by a body. */
  readonly interim: boolean
}

const HEAD = 0
const BODY = 1
const TRAILERS = 2
const ENDED = 3
const TUNNEL = 4
const FAILED = 5

/** A head, then a body, then perhaps trailers, from pieces of any size. Does no I/O. */
export class MessageReader<H extends { readonly framing: Framing }> {
  readonly #handler: MessageHandler<H>
  readonly #head: HeadParser<H>
  readonly #trailers: LineParser
  readonly #lines: LineDecoder
  readonly #body: BodyReader
  #state = HEAD
  #framing: Framing['kind'] = 'none'
  #failure: unknown = undefined

  constructor(handler: MessageHandler<H>, head: HeadParser<H>, limits: ResolvedLimits) {
    this.#handler = handler
    this.#head = head
    this.#trailers = new TrailerParser(head.fields, limits.maxHeaderBytes)
    this.#lines = new LineDecoder(limits.maxHeaderBytes)
    this.#body = new BodyReader(handler, limits)
  }

  /** No message is read in part: none has begun, or the last one has ended. */
  get idle(): boolean {
    if (this.#state === HEAD) return !this.#head.begun && this.#lines.empty
    return this.#state === ENDED || this.#state === TUNNEL
  }

  /** Bytes that are still missing of a body whose length is known; 0 at any other time. */
  get missing(): number {
    return this.#state === BODY && this.#framing === 'length' ? this.#body.missing : 0
  }

  /** The next `bytes` of the body, at most `missing`, went another way than through `feed`. */
  passed(bytes: number): void {
    this.#body.passed(bytes)
    if (this.#body.complete) this.#endBody()
  }

  /**
   * Reads from `chunk` at `offset` and returns the offset behind what was read: the end of the
   * chunk, or behind the end of a message, or behind a head that opens a tunnel. Reads nothing more
   * until `reset`. Throws `HttpParseError` when the bytes are not acceptable, then and ever after.
   */
  feed(chunk: Buffer, offset: number): number {
    if (this.#state === FAILED) throw this.#failure
    try {
      return this.#read(chunk, offset)
    } catch (error) {
      throw this.#fail(error)
    }
  }

  /**
   * The connection has ended. Ends a body that only the connection delimits; throws
   * `HttpParseError` with code `HTTP_TRUNCATED` when any other message is cut short.
   */
  finish(): void {
    if (this.#state === FAILED) throw this.#failure
    if (this.#state === BODY && this.#framing === 'close') {
      this.#end([])
      return
    }
    if (this.idle && !(this.#state === HEAD && this.#head.awaited)) return
    const where = this.#state === HEAD ? 'before the end of a head' : 'before the end of a body'
    throw this.#fail(new HttpParseError('HTTP_TRUNCATED', `the connection ended ${where}`))
  }

  /** Makes ready for the next message; what was read of an unfinished one is forgotten. */
  reset(): void {
    this.#state = HEAD
    this.#failure = undefined
    this.#lines.start()
    this.#head.start()
  }

  #read(chunk: Buffer, offset: number): number {
    let at = offset
    while (this.#state === HEAD) {
      if (at >= chunk.length) return at
      at = this.#lines.read(chunk, at, this.#head)
      if (!this.#head.complete) return at
      this.#endHead()
    }
    if (this.#state === BODY) {
      at = this.#body.feed(chunk, at)
      if (!this.#body.complete) return at
      this.#endBody()
    }
    if (this.#state === TRAILERS) {
      at = this.#lines.read(chunk, at, this.#trailers)
      if (this.#trailers.complete) this.#end(this.#head.fields.headers)
    }
    return at
  }

  #endHead(): void {
    const head = this.#head.take()
    this.#lines.start()
    if (this.#head.interim) {
      this.#head.start()
      this.#handler.onHead(head)
      return
    }
    const { framing } = head
    this.#framing = framing.kind
    this.#state = framing.kind === 'tunnel' ? TUNNEL : BODY
    this.#body.start(framing)
    this.#handler.onHead(head)
  }

  #endBody(): void {
    if (this.#framing === 'chunked') {
      this.#state = TRAILERS
      this.#lines.start()
      this.#head.fields.start(true)
    } else {
      this.#end([])
    }
  }

  #end(trailers: string[]): void {
    this.#state = ENDED
    this.#handler.onEnd(trailers)
  }

  #fail(error: unknown): unknown {
    this.#state = FAILED
    this.#failure = error
    return error
  }
}

class TrailerParser implements LineParser {
  readonly #fields: FieldParser
  readonly #maxBytes: number

  constructor(fields: FieldParser, maxBytes: number) {
    this.#fields = fields
    this.#maxBytes = maxBytes
  }

  get complete(): boolean {
    return this.#fields.complete
  }

  parse(text: string, scratch: Scratch): number {
    return this.#fields.parse(text, scratch, 0)
  }

  tooLarge(): never {
    throw new HttpParseError(
      'HTTP_HEADERS_TOO_LARGE',
      `trailers must not exceed ${this.#maxBytes} bytes; raise maxHeaderBytes`,
      431
    )
  }
}
