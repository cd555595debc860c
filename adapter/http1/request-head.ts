import { CR, LF, SP, TARGET, TOKEN } from './characters.ts'
import { HttpParseError, hex } from './errors.ts'
import {
  CONNECTION_CLOSE,
  CONNECTION_KEEP_ALIVE,
  CONNECTION_UPGRADE,
  FieldParser,
  lineEndError
} from './field-parser.ts'
import type { KnownFields } from './known-fields.ts'
import type { ResolvedLimits } from './limits.ts'
import { CHUNKED, type Framing, NONE, type RequestHead } from './message.ts'
import type { HeadParser } from './message-reader.ts'
import type { Scratch } from './scratch.ts'
import { targetAuthority } from './target.ts'

/** The request line and the fields behind it (RFC 9112 3 and 5). */
export class RequestHeadParser implements HeadParser<RequestHead> {
  readonly fields: FieldParser
  readonly interim = false
  readonly awaited = false
  readonly #limits: ResolvedLimits
  /** The request line has been read. */
  begun = false
  #skippedEmptyLine = false
  #method = ''
  #target = ''
  #version: 0 | 1 = 1

  constructor(limits: ResolvedLimits, known?: KnownFields) {
    this.#limits = limits
    this.fields = new FieldParser(limits, known)
  }

  get complete(): boolean {
    return this.begun && this.fields.complete
  }

  start(): void {
    this.begun = false
    this.#skippedEmptyLine = false
    this.fields.start(false)
  }

  parse(text: string, scratch: Scratch): number {
    if (this.begun) return this.fields.parse(text, scratch, 0)
    let at = 0
    if (scratch.bytes[0] === CR && !this.#skippedEmptyLine) {
      // RFC 9112 2.2: one empty line before a request is forgiven.
      if (text.length === 1) return 0
      if (scratch.bytes[1] !== LF) throw lineEndError('CR without LF')
      this.#skippedEmptyLine = true
      at = 2
    }
    const next = this.#requestLine(text, scratch, at)
    return this.begun ? this.fields.parse(text, scratch, next) : next
  }

  tooLarge(): never {
    if (!this.begun) throw targetTooLong(this.#limits.maxTargetBytes)
    throw new HttpParseError(
      'HTTP_HEADERS_TOO_LARGE',
      `a head must not exceed ${this.#limits.maxHeaderBytes} bytes; raise maxHeaderBytes`,
      431
    )
  }

  take(): RequestHead {
    const { fields } = this
    const version = this.#version
    if (fields.host === undefined && version === 1 && this.#limits.requireHost) {
      throw new HttpParseError('HTTP_INVALID_HOST', 'an HTTP/1.1 request must have a Host')
    }
    const authority = targetAuthority(this.#method, this.#target)
    if (authority === undefined) {
      throw new HttpParseError(
        'HTTP_INVALID_TARGET',
        'the request target must begin with / or http://, or be * for OPTIONS or host:port for CONNECT'
      )
    }
    const upgrade = fields.upgrade
    return {
      method: this.#method,
      target: this.#target,
      version,
      headers: fields.headers,
      beginning: fields.beginning,
      framing: this.#framing(),
      keepAlive: keepsAlive(fields.connection, version),
      upgrade:
        version === 1 && (fields.connection & CONNECTION_UPGRADE) !== 0 ? upgrade : undefined,
      expectContinue: version === 1 && fields.expectContinue,
      expectation: version === 1 ? fields.expectation : undefined,
      host: authority === '' ? (fields.host ?? '') : authority
    }
  }

  #framing(): Framing {
    const { chunked, contentLength } = this.fields
    if (!chunked && contentLength === -1) return NONE
    if (this.#method === 'CONNECT') {
      throw new HttpParseError('HTTP_AMBIGUOUS_FRAMING', 'a CONNECT request must not have a body')
    }
    if (!chunked) return { kind: 'length', length: contentLength }
    checkChunked(this.#version, contentLength)
    return CHUNKED
  }

  /** Reads the line when it is complete; returns the position behind what was used up. */
  #requestLine(text: string, scratch: Scratch, line: number): number {
    const end = text.length
    const { bytes } = scratch
    let i = line
    const token = TOKEN
    const target = TARGET
    while (token[bytes[i] as number] === 1) i++
    if (i === end) return line
    if (bytes[i] !== SP || i === line) throw methodError(bytes[i] as number, i === line)
    const methodEnd = i++
    const start = i
    while (target[bytes[i] as number] === 1) i++
    if (i - start > this.#limits.maxTargetBytes) throw targetTooLong(this.#limits.maxTargetBytes)
    if (i === end) return line
    if (bytes[i] !== SP || i === start) throw targetError(bytes[i] as number)
    const version = i + 1
    const lineEnd = version + 8
    if (lineEnd > end) {
      if (!hasLineFeed(text, version)) return line
      throw versionError(text, version)
    }
    const minor = minorVersion(bytes, version)
    if (minor === -1) throw versionError(text, version)
    if (lineEnd === end) return line
    if (bytes[lineEnd] !== CR) throw lineEndError(hex(bytes[lineEnd] as number))
    if (lineEnd + 1 === end) return line
    if (bytes[lineEnd + 1] !== LF) throw lineEndError('CR without LF')
    this.#method = isGet(bytes, line, methodEnd) ? 'GET' : text.slice(line, methodEnd)
    this.#target = text.slice(start, i)
    this.#version = minor
    this.begun = true
    return lineEnd + 2
  }
}

function isGet(bytes: Buffer, start: number, end: number): boolean {
  return (
    end - start === 3 &&
    bytes[start] === 0x47 &&
    bytes[start + 1] === 0x45 &&
    bytes[start + 2] === 0x54
  )
}

/** RFC 9112 9.3: `close` beats everything; HTTP/1.0 lives on only when asked to. */
export function keepsAlive(connection: number, version: 0 | 1): boolean {
  if ((connection & CONNECTION_CLOSE) !== 0) return false
  return version === 1 || (connection & CONNECTION_KEEP_ALIVE) !== 0
}

/** RFC 9112 6.1: with HTTP/1.0, or beside Content-Length, chunked is a way to smuggle. */
export function checkChunked(version: 0 | 1, contentLength: number): void {
  if (contentLength !== -1) {
    throw new HttpParseError(
      'HTTP_AMBIGUOUS_FRAMING',
      'a message must not have both Transfer-Encoding and Content-Length'
    )
  }
  if (version === 0) {
    throw new HttpParseError(
      'HTTP_AMBIGUOUS_FRAMING',
      'an HTTP/1.0 message must not have Transfer-Encoding'
    )
  }
}

const HTTP_1 = Buffer.from('HTTP/1.')

/** The last digit of `HTTP/1.0` or `HTTP/1.1` at `at`; -1 for anything else. */
export function minorVersion(bytes: Buffer, at: number): 0 | 1 | -1 {
  for (let i = 0; i < 7; i++) {
    if (bytes[at + i] !== HTTP_1[i]) return -1
  }
  const minor = (bytes[at + 7] as number) - 0x30
  return minor === 0 || minor === 1 ? minor : -1
}

/** A start line's version is neither HTTP/1.0 nor HTTP/1.1: another version, or none at all. */
export function versionError(text: string, at: number): HttpParseError {
  const end = at + 8
  const known = /^HTTP\/\d\.\d$/.test(text.slice(at, end))
  return known
    ? new HttpParseError('HTTP_UNSUPPORTED_VERSION', 'the version must be HTTP/1.1 or 1.0', 505)
    : new HttpParseError('HTTP_INVALID_START_LINE', 'the version must be HTTP/1.1 or HTTP/1.0')
}

export function hasLineFeed(text: string, from: number): boolean {
  return text.indexOf('\n', from) !== -1
}

function methodError(code: number, first: boolean): HttpParseError {
  if (code === LF || code === CR) {
    return first
      ? lineEndError('an empty line')
      : new HttpParseError('HTTP_INVALID_START_LINE', 'a request line must have a target')
  }
  return new HttpParseError(
    'HTTP_INVALID_METHOD',
    `a method must be a token followed by one space, got ${hex(code)}`
  )
}

function targetError(code: number): HttpParseError {
  if (code === CR || code === LF) {
    return new HttpParseError('HTTP_INVALID_START_LINE', 'a request line must have a version')
  }
  return new HttpParseError(
    'HTTP_INVALID_TARGET',
    `the request target must not contain ${hex(code)}; encode it as %${hex(code).slice(2)}`
  )
}

function targetTooLong(limit: number): HttpParseError {
  return new HttpParseError(
    'HTTP_TARGET_TOO_LONG',
    `the request target must not exceed ${limit} bytes; raise maxTargetBytes`,
    414
  )
}
