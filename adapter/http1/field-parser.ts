import { COLON, CR, equalsIgnoreCase, HTAB, isTextByte, LF, SP, TOKEN } from './characters.ts'
import { HttpParseError, hex } from './errors.ts'
import { parseContentLength, parseTransferEncoding } from './framing.ts'
import { eachElement } from './headers.ts'
import type { ResolvedLimits } from './limits.ts'
import type { Headers } from './message.ts'
import { isAuthority } from './target.ts'

/** Options of Connection that change what a reader does; bits of `FieldParser.connection`. */
export const CONNECTION_CLOSE = 1
export const CONNECTION_KEEP_ALIVE = 2
export const CONNECTION_UPGRADE = 4

/**
 * Field lines up to the empty line that ends them, as head or as trailers. Keeps aside the fields
 * that frame and route the message, so that nobody has to look for them again.
 */
export class FieldParser {
  headers: Headers = []
  /** The empty line has been read. */
  complete = false
  /** -1 when there is no Content-Length. */
  contentLength = -1
  chunked = false
  connection = 0
  expectContinue = false
  host: string | undefined = undefined
  upgrade: string | undefined = undefined
  readonly #maxCount: number
  #trailer = false

  constructor(limits: ResolvedLimits) {
    this.#maxCount = limits.maxHeaderCount
  }

  /** Forgets everything; the headers handed out before stay untouched. */
  start(trailer: boolean): void {
    this.headers = []
    this.complete = false
    this.contentLength = -1
    this.chunked = false
    this.connection = 0
    this.expectContinue = false
    this.host = undefined
    this.upgrade = undefined
    this.#trailer = trailer
  }

  /** Reads every complete line of `text` from `from` on; returns where the first other begins. */
  parse(text: string, from: number): number {
    const end = text.length
    let line = from
    while (line < end) {
      let i = line
      while (i < end && TOKEN[text.charCodeAt(i)] === 1) i++
      if (i === end) return line
      if (text.charCodeAt(i) !== COLON || i === line) {
        if (text.charCodeAt(line) !== CR) throw nameError(text, line, i)
        if (line + 1 === end) return line
        if (text.charCodeAt(line + 1) !== LF) throw lineEndError('CR without LF')
        this.complete = true
        return line + 2
      }
      const nameEnd = i++
      while (i < end && isBlank(text.charCodeAt(i))) i++
      const start = i
      while (i < end && isTextByte(text.charCodeAt(i))) i++
      if (i === end) return line
      if (text.charCodeAt(i) !== CR) throw valueError(text, line, nameEnd, i)
      if (i + 1 === end) return line
      if (text.charCodeAt(i + 1) !== LF) throw lineEndError('CR without LF')
      let valueEnd = i
      while (valueEnd > start && isBlank(text.charCodeAt(valueEnd - 1))) valueEnd--
      this.#field(text, line, nameEnd, start, valueEnd)
      line = i + 2
    }
    return line
  }

  #field(text: string, line: number, nameEnd: number, start: number, end: number): void {
    const { headers } = this
    if (headers.length >= this.#maxCount * 2) {
      throw new HttpParseError(
        'HTTP_HEADERS_TOO_LARGE',
        `a message must not have more than ${this.#maxCount} fields; raise maxHeaderCount`,
        431
      )
    }
    const value = text.slice(start, end)
    headers.push(text.slice(line, nameEnd), value)
    // The length alone excludes nearly every field, before any comparison of letters.
    switch (nameEnd - line) {
      case 4:
        if (equalsIgnoreCase(text, line, nameEnd, 'host')) this.#host(value)
        break
      case 6:
        if (equalsIgnoreCase(text, line, nameEnd, 'expect')) {
          if (equalsIgnoreCase(value, 0, value.length, '100-continue')) this.expectContinue = true
        }
        break
      case 7:
        if (equalsIgnoreCase(text, line, nameEnd, 'upgrade') && value !== '') {
          this.upgrade = this.upgrade === undefined ? value : `${this.upgrade}, ${value}`
        }
        break
      case 10:
        if (equalsIgnoreCase(text, line, nameEnd, 'connection')) this.#connection(value)
        break
      case 14:
        if (equalsIgnoreCase(text, line, nameEnd, 'content-length')) this.#contentLength(value)
        break
      case 17:
        if (equalsIgnoreCase(text, line, nameEnd, 'transfer-encoding')) this.#chunked(value)
        break
    }
  }

  #host(value: string): void {
    this.#refuseInTrailer('Host')
    if (this.host !== undefined) {
      throw new HttpParseError('HTTP_INVALID_HOST', 'a request must have one Host, got two')
    }
    if (value !== '' && !isAuthority(value, false)) {
      throw new HttpParseError('HTTP_INVALID_HOST', 'Host must be a host with an optional port')
    }
    this.host = value
  }

  #connection(value: string): void {
    this.#refuseInTrailer('Connection')
    eachElement(value, 0, value.length, (start, end) => {
      if (equalsIgnoreCase(value, start, end, 'close')) this.connection |= CONNECTION_CLOSE
      else if (equalsIgnoreCase(value, start, end, 'keep-alive')) {
        this.connection |= CONNECTION_KEEP_ALIVE
      } else if (equalsIgnoreCase(value, start, end, 'upgrade')) {
        this.connection |= CONNECTION_UPGRADE
      }
    })
  }

  #contentLength(value: string): void {
    this.#refuseInTrailer('Content-Length')
    if (this.contentLength !== -1) {
      throw new HttpParseError(
        'HTTP_INVALID_CONTENT_LENGTH',
        'a message must have at most one Content-Length, got two'
      )
    }
    this.contentLength = parseContentLength(value)
  }

  #chunked(value: string): void {
    this.#refuseInTrailer('Transfer-Encoding')
    if (this.chunked) {
      throw new HttpParseError(
        'HTTP_INVALID_TRANSFER_ENCODING',
        'a message must have at most one Transfer-Encoding, got two'
      )
    }
    parseTransferEncoding(value)
    this.chunked = true
  }

  #refuseInTrailer(name: string): void {
    if (this.#trailer) {
      throw new HttpParseError('HTTP_INVALID_TRAILER', `${name} must not stand in trailers`)
    }
  }
}

function isBlank(code: number): boolean {
  return code === SP || code === HTAB
}

export function lineEndError(what: string): HttpParseError {
  return new HttpParseError('HTTP_INVALID_LINE_END', `a line must end with CRLF, got ${what}`)
}

function nameError(text: string, line: number, at: number): HttpParseError {
  const code = text.charCodeAt(at)
  if (at === line && isBlank(code)) {
    return new HttpParseError(
      'HTTP_OBSOLETE_FOLDING',
      'a field line must not begin with white space; send each value on one line'
    )
  }
  if (code === LF) return lineEndError('LF alone')
  return new HttpParseError(
    'HTTP_INVALID_HEADER_NAME',
    at === line
      ? `a field name must not be empty or begin with ${hex(code)}`
      : `a field name must be letters, digits and !#$%&'*+-.^_\`|~ up to the colon, got ${hex(code)}`
  )
}

function valueError(text: string, line: number, nameEnd: number, at: number): HttpParseError {
  const code = text.charCodeAt(at)
  if (code === LF) return lineEndError('LF alone')
  return new HttpParseError(
    'HTTP_INVALID_HEADER_VALUE',
    `the value of ${text.slice(line, nameEnd)} must not contain ${hex(code)}`
  )
}
