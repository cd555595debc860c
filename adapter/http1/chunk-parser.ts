import {
  BACKSLASH,
  CR,
  EQUALS,
  HEX,
  isTextByte,
  LF,
  QUOTE,
  SEMICOLON,
  TOKEN
} from './characters.ts'
import { HttpParseError, hex } from './errors.ts'

/** Where in `CRLF chunk-size [ chunk-ext ] CRLF` the next byte stands; the first CRLF ends data. */
const DATA_CR = 0
const DATA_LF = 1
const FIRST_DIGIT = 2
const DIGIT = 3
const NAME_START = 4
const NAME = 5
const VALUE_START = 6
const VALUE = 7
const QUOTED = 8
const ESCAPED = 9
const QUOTED_END = 10
const SIZE_LF = 11

/**
 * The line before each chunk (RFC 9112 7.1), a byte at a time. Extensions are checked, counted and
 * dropped. White space that the RFC calls bad is refused, like llhttp does.
 */
export class ChunkParser {
  /** Of the chunk whose line was read last; 0 for the last chunk. */
  size = 0
  /** The whole line has been read. */
  complete = false
  #state = FIRST_DIGIT
  #overhead = 0
  readonly #maxOverhead: number

  constructor(maxOverhead: number) {
    this.#maxOverhead = maxOverhead
  }

  /** Before the first chunk of a message. */
  start(): void {
    this.#overhead = 0
    this.#begin(FIRST_DIGIT)
  }

  /** Before every other chunk, whose line comes after the CRLF that ends the data before it. */
  next(): void {
    this.#begin(DATA_CR)
  }

  #begin(state: number): void {
    this.size = 0
    this.complete = false
    this.#state = state
  }

  /** Reads up to the end of the line or of `chunk`; returns the offset behind what was read. */
  feed(chunk: Buffer, offset: number): number {
    let at = offset
    while (at < chunk.length) {
      const byte = chunk[at++] as number
      switch (this.#state) {
        case DATA_CR:
          if (byte !== CR) throw chunkError('data must be followed by CRLF', byte)
          this.#state = DATA_LF
          break
        case DATA_LF:
          if (byte !== LF) throw chunkError('data must be followed by CRLF', byte)
          this.#state = FIRST_DIGIT
          break
        case FIRST_DIGIT:
        case DIGIT:
          this.#digit(byte)
          break
        case SIZE_LF:
          if (byte !== LF) throw chunkError('a line must end with CRLF', byte)
          this.complete = true
          return at
        default:
          this.#extension(byte)
      }
    }
    return at
  }

  #digit(byte: number): void {
    const digit = HEX[byte] as number
    if (digit === 0) {
      if (this.#state === FIRST_DIGIT) throw chunkError('a size must be hexadecimal digits', byte)
      this.#endOf(byte, 'a size must be hexadecimal digits')
      return
    }
    if (this.size === 0 && this.#state === DIGIT) this.#count()
    this.#state = DIGIT
    this.size = this.size * 16 + (digit - 1)
    if (this.size > Number.MAX_SAFE_INTEGER) {
      throw chunkError('a size must be at most 0x1fffffffffffff', byte)
    }
  }

  /** After a size, or an extension that could end here. */
  #endOf(byte: number, rule: string): void {
    if (byte === CR) {
      this.#state = SIZE_LF
    } else if (byte === SEMICOLON) {
      this.#count()
      this.#state = NAME_START
    } else {
      throw chunkError(rule, byte)
    }
  }

  #extension(byte: number): void {
    const token = TOKEN[byte] === 1
    if (byte !== CR && byte !== SEMICOLON) this.#count()
    switch (this.#state) {
      case NAME_START:
        if (!token) throw chunkError('an extension must have a name', byte)
        this.#state = NAME
        break
      case NAME:
        if (byte === EQUALS) this.#state = VALUE_START
        else if (!token) this.#endOf(byte, "an extension's name must be a token")
        break
      case VALUE_START:
        if (byte === QUOTE) this.#state = QUOTED
        else if (token) this.#state = VALUE
        else throw chunkError("an extension's value must be a token or quoted", byte)
        break
      case VALUE:
        if (!token) this.#endOf(byte, "an extension's value must be a token or quoted")
        break
      case QUOTED:
        if (byte === QUOTE) this.#state = QUOTED_END
        else if (byte === BACKSLASH) this.#state = ESCAPED
        else if (!isTextByte(byte)) throw chunkError('a quoted value must be text', byte)
        break
      case ESCAPED:
        if (!isTextByte(byte)) throw chunkError('a quoted value must be text', byte)
        this.#state = QUOTED
        break
      default:
        this.#endOf(byte, 'a quoted value must be followed by ; or CRLF')
    }
  }

  #count(): void {
    if (++this.#overhead > this.#maxOverhead) {
      throw new HttpParseError(
        'HTTP_CHUNK_EXTENSIONS_TOO_LARGE',
        `chunk extensions must not exceed ${this.#maxOverhead} bytes in a message`,
        413
      )
    }
  }
}

function chunkError(rule: string, byte: number): HttpParseError {
  return new HttpParseError('HTTP_INVALID_CHUNK', `chunked coding: ${rule}, got ${hex(byte)}`)
}
