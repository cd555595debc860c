import { InvalidArgumentError } from '../errors.ts'
import { equalsIgnoreCase, isFieldValue, isToken } from './characters.ts'
import type { Headers } from './message.ts'
import { isAuthority, targetAuthority } from './target.ts'

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
  if (typeof method !== 'string' || !isToken(method)) {
    throw new InvalidArgumentError('method', 'a token like GET', method)
  }
  if (typeof target !== 'string' || targetAuthority(method, target) === undefined) {
    throw new InvalidArgumentError(
      'target',
      'a path, an http:// URL, * for OPTIONS or host:port for CONNECT, without spaces, controls or #',
      target
    )
  }
  return `${method} ${target} HTTP/1.1\r\n${fieldLines(headers, REQUEST)}\r\n`
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
  return `HTTP/1.1 ${status} ${reason}\r\n${fieldLines(headers, RESPONSE)}\r\n`
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
  return `0\r\n${fieldLines(headers, TRAILERS)}\r\n`
}

const REQUEST = 0
const RESPONSE = 1
const TRAILERS = 2

function fieldLines(headers: Headers, kind: number): string {
  if (!Array.isArray(headers) || headers.length % 2 !== 0) {
    throw new InvalidArgumentError('headers', 'names and values in turn', headers)
  }
  let text = ''
  let hosts = 0
  let lengths = 0
  let codings = 0
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string
    const value = coerce(headers[i + 1])
    if (typeof name !== 'string' || !isToken(name)) {
      throw new InvalidArgumentError(`headers[${i}]`, 'a field name', name)
    }
    if (value === undefined || !isFieldValue(value)) {
      throw new InvalidArgumentError(
        `the value of ${name}`,
        'text without control characters or characters above U+00FF',
        headers[i + 1]
      )
    }
    if (is(name, 'host')) hosts += checked(kind === REQUEST, name, value, isHost)
    else if (is(name, 'content-length'))
      lengths += checked(kind !== TRAILERS, name, value, isLength)
    else if (is(name, 'transfer-encoding')) {
      codings += checked(kind !== TRAILERS, name, value, isChunked)
    } else if (kind === TRAILERS && is(name, 'connection')) checked(false, name, value, isHost)
    text += `${name}: ${value}\r\n`
  }
  if (kind === REQUEST && hosts !== 1) {
    throw new InvalidArgumentError('headers', 'fields with exactly one Host', `${hosts} of them`)
  }
  if (lengths + codings > 1) {
    throw new InvalidArgumentError(
      'headers',
      'fields with one Content-Length or one Transfer-Encoding',
      `${lengths} and ${codings} of them`
    )
  }
  return text
}

/** Once, before any check: an object could give another text the next time it is asked. */
function coerce(value: unknown): string | undefined {
  if (typeof value === 'string') return value
  return typeof value === 'number' || typeof value === 'bigint' ? String(value) : undefined
}

function checked(
  allowed: boolean,
  name: string,
  value: string,
  valid: (value: string) => boolean
): 1 {
  if (!allowed) throw new InvalidArgumentError('headers', `fields without ${name} here`, name)
  if (!valid(value)) throw new InvalidArgumentError(name, 'a valid value', value)
  return 1
}

function is(name: string, lower: string): boolean {
  return equalsIgnoreCase(name, 0, name.length, lower)
}

function isHost(value: string): boolean {
  return value === '' || isAuthority(value, false)
}

function isLength(value: string): boolean {
  return /^\d{1,16}$/.test(value) && Number(value) <= Number.MAX_SAFE_INTEGER
}

function isChunked(value: string): boolean {
  return is(value, 'chunked')
}
