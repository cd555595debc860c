import { CR, LF, SP } from './characters.ts'
import { HttpParseError, hex } from './errors.ts'
import { CONNECTION_UPGRADE, FieldParser, lineEndError } from './field-parser.ts'
import { eachElement } from './headers.ts'
import type { KnownFields } from './known-fields.ts'
import type { ResolvedLimits } from './limits.ts'
import { CHUNKED, CLOSE, type Framing, NONE, type ResponseHead, TUNNEL } from './message.ts'
import type { HeadParser } from './message-reader.ts'
import {
  checkChunked,
  hasLineFeed,
  keepsAlive,
  minorVersion,
  versionError
} from './request-head.ts'
import { type Scratch, textEnd } from './scratch.ts'

/** The status line and the fields behind it (RFC 9112 4 and 5), for one awaited response. */
export class ResponseHeadParser implements HeadParser<ResponseHead> {
  readonly fields: FieldParser
  readonly #maxBytes: number
  /** The status line has been read. */
  #lineRead = false
  begun = false
  awaited = false
  interim = false
  #method = ''
  /** The protocols offered, or true when any may be switched to. */
  #upgrade: string | boolean = false
  #status = 0
  #reason = ''
  #version: 0 | 1 = 1

  constructor(limits: ResolvedLimits, known?: KnownFields) {
    this.#maxBytes = limits.maxHeaderBytes
    this.fields = new FieldParser(limits, known)
  }

  get complete(): boolean {
    return this.#lineRead && this.fields.complete
  }

  start(): void {
    // After an interim head the final one is still awaited, and the exchange has begun.
    if (!this.interim) {
      this.awaited = false
      this.begun = false
    }
    this.interim = false
    this.#lineRead = false
    this.fields.start(false)
  }

  /** Goes before each response, behind `start`. */
  expect(method: string, upgrade: string | boolean): void {
    this.awaited = true
    this.#method = method
    this.#upgrade = upgrade
  }

  parse(text: string, scratch: Scratch): number {
    if (!this.awaited) {
      throw new HttpParseError(
        'HTTP_UNEXPECTED_RESPONSE',
        'the server sent bytes that answer no request; call expect before each response'
      )
    }
    if (this.#lineRead) return this.fields.parse(text, scratch, 0)
    const next = this.#statusLine(text, scratch)
    return this.#lineRead ? this.fields.parse(text, scratch, next) : next
  }

  tooLarge(): never {
    throw new HttpParseError(
      'HTTP_HEADERS_TOO_LARGE',
      `a head must not exceed ${this.#maxBytes} bytes; raise maxHeaderBytes`,
      431
    )
  }

  take(): ResponseHead {
    const { fields } = this
    const version = this.#version
    const status = this.#status
    this.interim = status < 200 && status !== 101
    const listed = (fields.connection & CONNECTION_UPGRADE) !== 0
    const upgrade = version === 1 && listed ? fields.upgrade : undefined
    if (status === 101) this.#checkUpgrade(upgrade)
    const framing = this.#framing()
    return {
      status,
      reason: this.#reason,
      version,
      headers: fields.headers,
      framing,
      keepAlive: framing.kind !== 'close' && keepsAlive(fields.connection, version),
      upgrade
    }
  }

  /** RFC 9112 6.3, in its order, but errors where the RFC lets one guess. */
  #framing(): Framing {
    const { chunked, contentLength } = this.fields
    const status = this.#status
    if (status === 101) return TUNNEL
    if (this.#method === 'CONNECT' && status >= 200 && status < 300) return TUNNEL
    if (chunked) checkChunked(this.#version, contentLength)
    if (this.#method === 'HEAD' || status < 200 || status === 204 || status === 304) return NONE
    if (chunked) return CHUNKED
    return contentLength === -1 ? CLOSE : { kind: 'length', length: contentLength }
  }

  /** RFC 9110 7.8: a server switches only to what the request offered, and says to what. */
  #checkUpgrade(protocol: string | undefined): void {
    const offered = this.#upgrade
    let known = offered === true && protocol !== undefined
    if (typeof offered === 'string' && protocol !== undefined) {
      eachElement(offered, 0, offered.length, (start, end) => {
        const name = offered.slice(start, end).toLowerCase()
        if (protocol.toLowerCase() === name) known = true
      })
    }
    if (known) return
    throw new HttpParseError(
      'HTTP_UNEXPECTED_UPGRADE',
      offered === false
        ? 'the server switched protocols (101) though no upgrade was asked for'
        : `the server must switch to a protocol that was offered, got ${protocol ?? 'none'}`
    )
  }

  /** Reads the line when it is complete; returns the position behind what was used up. */
  #statusLine(text: string, scratch: Scratch): number {
    const end = text.length
    // "HTTP/1.x 200" and CR LF, with or without a reason.
    if (end < 14 && !hasLineFeed(text, 0)) return 0
    const { bytes } = scratch
    const minor = minorVersion(bytes, 0)
    if (minor === -1) throw versionError(text, 0)
    if (bytes[8] !== SP) {
      throw new HttpParseError('HTTP_INVALID_START_LINE', 'a version must be followed by a space')
    }
    const status = threeDigits(bytes, 9)
    const behind = bytes[12]
    if (status < 100 || (behind !== SP && behind !== CR && behind !== LF)) throw statusError()
    const i = textEnd(scratch, 12)
    if (i === end) return 0
    if (bytes[i] !== CR) {
      if (bytes[i] === LF) throw lineEndError('LF alone')
      throw new HttpParseError(
        'HTTP_INVALID_START_LINE',
        `a reason must not contain ${hex(bytes[i] as number)}`
      )
    }
    if (i + 1 === end) return 0
    if (bytes[i + 1] !== LF) throw lineEndError('CR without LF')
    this.#status = status
    this.#reason = text.slice(13, i)
    this.#version = minor
    this.#lineRead = true
    this.begun = true
    return i + 2
  }
}

/** -1 unless all three are digits. */
function threeDigits(bytes: Buffer, at: number): number {
  let value = 0
  for (let i = at; i < at + 3; i++) {
    const digit = (bytes[i] as number) - 0x30
    if (digit < 0 || digit > 9) return -1
    value = value * 10 + digit
  }
  return value
}

function statusError(): HttpParseError {
  return new HttpParseError(
    'HTTP_INVALID_STATUS',
    'a status must be three digits from 100 to 999 followed by a space'
  )
}
