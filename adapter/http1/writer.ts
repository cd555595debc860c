import { InvalidArgumentError } from '../errors.ts'
import { equalsIgnoreCase, isFieldValue, isTarget, isToken, matches, TOKEN } from './characters.ts'
import type { Headers } from './message.ts'
import { type Scratch, scratchOf, textEnd } from './scratch.ts'
import { isAuthority, isPlainHost, targetAuthority } from './target.ts'

/** Ends a chunked body that has no trailers. */
export const LAST_CHUNK = '0\r\n\r\n'

/** Follows the data of each chunk. */
export const CHUNK_END = '\r\n'

/**
 * The head of an HTTP/1.1 request as latin1 text, with the empty line. Checks everything again,
 * whoever checked before: a target, name or value with a byte that could begin another line, a
 * second Host or Content-Length in any spelling, or both ways of framing throw
 * `InvalidArgumentError`. Exactly one Host is required.
 */
export function writeRequestHead(method: string, target: string, headers: Headers): string {
  return requestLine(method, target) + fieldLines(headers, REQUEST)
}

/**
 * Fields of requests, one Host among them: checked once, then written in any number of heads.
 * Throws as `writeRequestHead`.
 */
export class SharedFields {
  /** @internal */
  readonly lines: string

  constructor(headers: Headers) {
    this.lines = fieldLines(headers, REQUEST).slice(0, -2)
  }
}

/** The head of a request up to the end of `shared`: {@link furtherFields} must follow. */
export function beginRequestHead(method: string, target: string, shared: SharedFields): string {
  return requestLine(method, target) + shared.lines
}

/**
 * Fields behind {@link SharedFields}, which may not frame or route the request, and the empty line.
 * Throws as `writeRequestHead`.
 */
export function furtherFields(headers: Headers): string {
  return fieldLines(headers, MORE)
}

function requestLine(method: string, target: string): string {
  if (typeof method !== 'string' || !isToken(method)) {
    throw new InvalidArgumentError('method', 'a token like GET', method)
  }
  if (
    typeof target !== 'string' ||
    !isTarget(target) ||
    targetAuthority(method, target) === undefined
  ) {
    throw new InvalidArgumentError(
      'target',
      'a path, an http:// URL, * for OPTIONS or host:port for CONNECT, without spaces, controls or #',
      target
    )
  }
  return `${method} ${target} HTTP/1.1\r\n`
}

/**
 * The head of an HTTP/1.1 response as latin1 text, with the empty line. Checked like a request's.
 * `status` is 100 to 999; `reason` may be empty.
 */
export function writeResponseHead(status: number, reason: string, headers: Headers): string {
  if (!Number.isInteger(status) || status < 100 || status > 999) {
    throw new InvalidArgumentError('status', 'a whole number from 100 to 999', status)
  }
  if (typeof reason !== 'string' || !isFieldValue(reason)) {
    throw new InvalidArgumentError('reason', 'text without control characters', reason)
  }
  return `HTTP/1.1 ${status} ${reason}\r\n${fieldLines(headers, RESPONSE)}`
}

/** What precedes `bytes` bytes of a chunk's data, which `CHUNK_END` then follows. At least 1. */
export function chunkHeader(bytes: number): string {
  if (!Number.isSafeInteger(bytes) || bytes < 1) {
    throw new InvalidArgumentError('bytes', 'a whole number of at least 1', bytes)
  }
  return `${bytes.toString(16)}\r\n`
}

/** The last chunk with trailers: written in place of `LAST_CHUNK`, not after it. */
export function writeTrailers(headers: Headers): string {
  return `0\r\n${fieldLines(headers, TRAILERS)}`
}

const REQUEST = 0
const RESPONSE = 1
const TRAILERS = 2
/** Fields behind those of a head that is complete without them. */
const MORE = 3

const HOST = Buffer.from('host')
const CONNECTION = Buffer.from('connection')
const CONTENT_LENGTH = Buffer.from('content-length')
const TRANSFER_ENCODING = Buffer.from('transfer-encoding')

const NOT_LATIN1 = /[\u0100-\uffff]/

/** Puts the lines together, then checks the bytes they become, each where it was meant to stand. */
function fieldLines(headers: Headers, kind: number): string {
  if (!Array.isArray(headers) || headers.length % 2 !== 0) {
    throw new InvalidArgumentError('headers', 'names and values in turn', headers)
  }
  // A copy, so that what is checked is what was written, whatever the caller's array does.
  const fields = headers.slice()
  let text = ''
  for (let i = 0; i < fields.length; i += 2) {
    if (typeof fields[i] !== 'string') throw invalidName(fields, i)
    const value = textOfValue(fields, i + 1)
    fields[i + 1] = value
    text += `${fields[i]}: ${value}\r\n`
  }
  text += '\r\n'
  if (NOT_LATIN1.test(text)) {
    throw new InvalidArgumentError('headers', 'text without characters above U+00FF', text)
  }
  const scratch = scratchOf(text.length)
  scratch.bytes.write(text, 0, 'latin1')
  scratch.bytes[text.length] = 0
  check(scratch, fields, kind)
  return text
}

/** A number is as good as its text. An object is not: it could give another text when asked again. */
function textOfValue(fields: Headers, index: number): string {
  const value: unknown = fields[index]
  if (typeof value === 'string') return value
  if (typeof value === 'number' || typeof value === 'bigint') return String(value)
  throw new InvalidArgumentError(`the value of ${fields[index - 1]}`, 'a string', value)
}

function check(scratch: Scratch, headers: Headers, kind: number): void {
  const { bytes } = scratch
  const late = kind === TRAILERS || kind === MORE
  let at = 0
  let hosts = 0
  let framings = 0
  for (let i = 0; i < headers.length; i += 2) {
    const { length } = headers[i] as string
    const end = at + length
    for (let k = at; k < end; k++) {
      if (TOKEN[bytes[k] as number] !== 1) throw invalidName(headers, i)
    }
    if (length === 0) throw invalidName(headers, i)
    const value = headers[i + 1] as string
    const start = end + 2
    const next = textEnd(scratch, start)
    if (next !== start + value.length) throw invalidValue(headers, i + 1)
    if (length === 4 && matches(bytes, at, HOST)) {
      if (late) throw tooLate(kind, 'Host')
      if (!isPlainHost(bytes, start, value.length) && value !== '' && !isAuthority(value, false)) {
        throw new InvalidArgumentError('Host', 'a host with an optional port', value)
      }
      hosts++
    } else if (length === 14 && matches(bytes, at, CONTENT_LENGTH)) {
      if (late) throw tooLate(kind, 'Content-Length')
      checkLength(value)
      framings++
    } else if (length === 17 && matches(bytes, at, TRANSFER_ENCODING)) {
      if (late) throw tooLate(kind, 'Transfer-Encoding')
      checkCoding(value)
      framings++
    } else if (late && length === 10 && matches(bytes, at, CONNECTION)) {
      throw tooLate(kind, 'Connection')
    }
    at = next + 2
  }
  if (kind === REQUEST && hosts !== 1) {
    throw new InvalidArgumentError('headers', 'fields with exactly one Host', `${hosts} of them`)
  }
  if (framings > 1) {
    throw new InvalidArgumentError(
      'headers',
      'fields with at most one of Content-Length and Transfer-Encoding',
      `${framings} of them`
    )
  }
}

function invalidName(headers: Headers, index: number): InvalidArgumentError {
  return new InvalidArgumentError(`headers[${index}]`, 'a field name', headers[index])
}

function invalidValue(headers: Headers, index: number): InvalidArgumentError {
  return new InvalidArgumentError(
    `the value of ${headers[index - 1]}`,
    'text without control characters',
    headers[index]
  )
}

function tooLate(kind: number, name: string): InvalidArgumentError {
  const what = kind === TRAILERS ? 'trailers' : 'fields behind the shared ones'
  return new InvalidArgumentError('headers', `${what} without ${name}`, name)
}

function checkLength(value: string): void {
  if (/^\d{1,16}$/.test(value) && Number(value) <= Number.MAX_SAFE_INTEGER) return
  throw new InvalidArgumentError('Content-Length', 'decimal digits up to 9007199254740991', value)
}

function checkCoding(value: string): void {
  if (equalsIgnoreCase(value, 0, value.length, 'chunked')) return
  throw new InvalidArgumentError('Transfer-Encoding', 'chunked', value)
}
