import { COLON, CR, equalsIgnoreCase, HTAB, LF, matches, SP, TOKEN } from './characters.ts'
import { HttpParseError, hex } from './errors.ts'
import { codingError, lengthError, parseContentLength, parseTransferEncoding } from './framing.ts'
import { eachElement } from './headers.ts'
import { KnownFields } from './known-fields.ts'
import type { ResolvedLimits } from './limits.ts'
import type { Headers } from './message.ts'
import { type Scratch, textEnd } from './scratch.ts'
import { isAuthority, isPlainHost } from './target.ts'

/** Options of Connection that change what a reader does; bits of `FieldParser.connection`. */
export const CONNECTION_CLOSE = 1
export const CONNECTION_KEEP_ALIVE = 2
export const CONNECTION_UPGRADE = 4

const NONE: Headers = []
/** So many heads in a row that no other reader's resembled: from here on this one keeps its own. */
const STRANGE_HEADS = 4

const HOST = Buffer.from('host')
const EXPECT = Buffer.from('expect')
const UPGRADE = Buffer.from('upgrade')
const CONNECTION = Buffer.from('connection')
const KEEP_ALIVE = Buffer.from('keep-alive')
const CONTENT_LENGTH = Buffer.from('content-length')
const TRANSFER_ENCODING = Buffer.from('transfer-encoding')

/**
 * Field lines up to the empty line that ends them, as head or as trailers. Keeps aside the fields
 * that frame and route the message, so that nobody has to look for them again.
 */
export class FieldParser {
  /** The same array as of an earlier head when all its fields are the same: not to be changed. */
  headers: Headers = []
  /** Of `headers`, strings that have been read; all of them once it is complete. */
  count = 0
  /** What `headers` begin with, the same array for each head that begins so. */
  beginning: Headers = NONE
  /** The empty line has been read. */
  complete = false
  /** -1 when there is no Content-Length. */
  contentLength = -1
  chunked = false
  connection = 0
  expectContinue = false
  expectation: string | undefined = undefined
  host: string | undefined = undefined
  upgrade: string | undefined = undefined
  /** Of `headers`, which holds two strings for each field. */
  readonly maxLength: number
  #known: KnownFields
  /** `#known` is other readers' as well. */
  #shared: boolean
  /** Heads in a row of which `#known` knew nothing. */
  #strange = 0
  #trailer = false

  /** @param known shared with other readers */
  constructor(limits: ResolvedLimits, known?: KnownFields) {
    this.maxLength = limits.maxHeaderCount * 2
    this.#known = known ?? new KnownFields()
    this.#shared = known !== undefined
  }

  /** Forgets everything; the headers handed out before stay untouched. */
  start(trailer: boolean): void {
    this.headers = []
    this.count = 0
    this.beginning = NONE
    this.complete = false
    this.contentLength = -1
    this.chunked = false
    this.connection = 0
    this.expectContinue = false
    this.expectation = undefined
    this.host = undefined
    this.upgrade = undefined
    this.#trailer = trailer
  }

  /**
   * Reads every complete line of `text` from `from` on; returns where the first other begins. The
   * scratch holds the same bytes and a zero behind them, which ends every loop.
   */
  parse(text: string, scratch: Scratch, from: number): number {
    if (this.#trailer || this.count > 0) return this.#lines(text, scratch, from, -1)
    const known = this.#known
    const behind = known.recall(this, scratch, from, text.length)
    if (behind > from) {
      this.#strange = 0
      if (this.complete) return behind
    }
    const end =
      behind > from ? this.#lines(text, scratch, behind, -1) : this.#compare(text, scratch, from)
    if (this.complete) {
      known.remember(this, scratch, from, end)
      if (behind === from) this.#missed()
    }
    return end
  }

  /** Peers that send other heads than the rest neither profit from those nor take them from others. */
  #missed(): void {
    if (!this.#shared || ++this.#strange < STRANGE_HEADS) return
    this.#shared = false
    this.#known = new KnownFields()
  }

  /** As `parse`, of lines nothing is known of: what they have in common with the known ones will be. */
  #compare(text: string, scratch: Scratch, from: number): number {
    const known = this.#known
    const checkpoint = known.commonEnd(from)
    if (checkpoint === -1) return this.#lines(text, scratch, from, -1)
    const end = this.#lines(text, scratch, from, checkpoint)
    if (end !== checkpoint || this.complete) return end
    known.rememberFirst(this, end - from)
    return this.#lines(text, scratch, end, -1)
  }

  /** As `parse`, but stops at `stop`, where a line begins. */
  #lines(text: string, scratch: Scratch, from: number, stop: number): number {
    const end = text.length
    const { bytes } = scratch
    const token = TOKEN
    let line = from
    while (line < end && line !== stop) {
      let i = line
      while (token[bytes[i] as number] === 1) i++
      if (i === end) return line
      if (bytes[i] !== COLON || i === line) {
        if (bytes[line] !== CR) throw nameError(bytes, line, i)
        if (line + 1 === end) return line
        if (bytes[line + 1] !== LF) throw lineEndError('CR without LF')
        this.complete = true
        if (this.headers.length > this.count) this.headers.length = this.count
        return line + 2
      }
      const nameEnd = i++
      while (bytes[i] === SP || bytes[i] === HTAB) i++
      const start = i
      i = textEnd(scratch, i)
      if (i === end) return line
      if (bytes[i] !== CR) throw valueError(text, line, nameEnd, i)
      if (i + 1 === end) return line
      if (bytes[i + 1] !== LF) throw lineEndError('CR without LF')
      let valueEnd = i
      while (valueEnd > start && isBlank(bytes[valueEnd - 1] as number)) valueEnd--
      const { headers, count } = this
      if (count >= this.maxLength) throw tooMany(this.maxLength)
      const value = text.slice(start, valueEnd)
      headers[count] = text.slice(line, nameEnd)
      headers[count + 1] = value
      this.count = count + 2
      // The length alone excludes nearly every field, before any comparison of letters.
      switch (nameEnd - line) {
        case 4:
          if (matches(bytes, line, HOST)) this.#host(value, bytes, start)
          break
        case 6:
          if (matches(bytes, line, EXPECT)) this.#expect(value)
          break
        case 7:
          if (matches(bytes, line, UPGRADE)) this.#upgrade(value)
          break
        case 10:
          if (matches(bytes, line, CONNECTION)) this.#connection(value, bytes, start)
          break
        case 14:
          if (matches(bytes, line, CONTENT_LENGTH)) {
            if (hasTab(bytes, nameEnd, i)) throw lengthError()
            this.#contentLength(value)
          }
          break
        case 17:
          if (matches(bytes, line, TRANSFER_ENCODING)) {
            if (hasTab(bytes, nameEnd, i)) throw codingError()
            this.#chunked(value)
          }
          break
      }
      line = i + 2
    }
    return line
  }

  #host(value: string, bytes: Buffer, start: number): void {
    this.#refuseInTrailer('Host')
    if (this.host !== undefined) {
      throw new HttpParseError('HTTP_INVALID_HOST', 'a request must have one Host, got two')
    }
    if (!isPlainHost(bytes, start, value.length) && value !== '' && !isAuthority(value, false)) {
      throw new HttpParseError('HTTP_INVALID_HOST', 'Host must be a host with an optional port')
    }
    this.host = value
  }

  #expect(value: string): void {
    if (equalsIgnoreCase(value, 0, value.length, '100-continue')) this.expectContinue = true
    else this.expectation = value
  }

  #upgrade(value: string): void {
    if (value === '') return
    this.upgrade = this.upgrade === undefined ? value : `${this.upgrade}, ${value}`
  }

  #connection(value: string, bytes: Buffer, start: number): void {
    this.#refuseInTrailer('Connection')
    if (value.length === 10 && matches(bytes, start, KEEP_ALIVE)) {
      this.connection |= CONNECTION_KEEP_ALIVE
    } else {
      this.connection |= connectionFlags(value)
    }
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

/**
 * Tabs are white space around a value like spaces, but not to every parser: llhttp does not take
 * chunked followed by a tab for chunked. Where that decides about framing, nobody may guess.
 */
function hasTab(bytes: Buffer, start: number, end: number): boolean {
  for (let i = start; i < end; i++) {
    if (bytes[i] === HTAB) return true
  }
  return false
}

function connectionFlags(value: string): number {
  let flags = 0
  eachElement(value, 0, value.length, (start, end) => {
    if (equalsIgnoreCase(value, start, end, 'close')) flags |= CONNECTION_CLOSE
    else if (equalsIgnoreCase(value, start, end, 'keep-alive')) flags |= CONNECTION_KEEP_ALIVE
    else if (equalsIgnoreCase(value, start, end, 'upgrade')) flags |= CONNECTION_UPGRADE
  })
  return flags
}

function isBlank(code: number): boolean {
  return code === SP || code === HTAB
}

export function lineEndError(what: string): HttpParseError {
  return new HttpParseError('HTTP_INVALID_LINE_END', `a line must end with CRLF, got ${what}`)
}

function tooMany(maxLength: number): HttpParseError {
  return new HttpParseError(
    'HTTP_HEADERS_TOO_LARGE',
    `a message must not have more than ${maxLength / 2} fields; raise maxHeaderCount`,
    431
  )
}

function nameError(bytes: Buffer, line: number, at: number): HttpParseError {
  const code = bytes[at] as number
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
