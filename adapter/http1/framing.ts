import { equalsIgnoreCase } from './characters.ts'
import { HttpParseError } from './errors.ts'
import { eachElement } from './headers.ts'

/** `1*DIGIT` up to 2^53 - 1: no sign, no list, no white space, not empty. */
export function parseContentLength(value: string): number {
  let length = 0
  for (let i = 0; i < value.length; i++) {
    const digit = value.charCodeAt(i) - 0x30
    if (digit < 0 || digit > 9) throw lengthError()
    length = length * 10 + digit
    if (length > Number.MAX_SAFE_INTEGER) throw lengthError()
  }
  if (value === '') throw lengthError()
  return length
}

export function lengthError(): HttpParseError {
  return new HttpParseError(
    'HTTP_INVALID_CONTENT_LENGTH',
    'Content-Length must be decimal digits up to 9007199254740991, without tabs around them'
  )
}

/**
 * Accepts `chunked` in any case and nothing else. A list that ends with one `chunked` after codings
 * we do not know is 501; every other value leaves the end of the body unknown and is 400.
 */
export function parseTransferEncoding(value: string): void {
  if (equalsIgnoreCase(value, 0, value.length, 'chunked')) return
  let seen = 0
  let last = false
  eachElement(value, 0, value.length, (start, end) => {
    last = equalsIgnoreCase(value, start, end, 'chunked')
    if (last) seen++
  })
  if (last && seen === 1) {
    throw new HttpParseError(
      'HTTP_UNSUPPORTED_TRANSFER_ENCODING',
      'Transfer-Encoding must be chunked alone; other codings are not supported',
      501
    )
  }
  throw codingError()
}

export function codingError(): HttpParseError {
  return new HttpParseError(
    'HTTP_INVALID_TRANSFER_ENCODING',
    'Transfer-Encoding must be chunked, once and last'
  )
}
