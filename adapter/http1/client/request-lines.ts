import { InvalidArgumentError } from '../../errors.ts'
import { isToken } from '../characters.ts'
import { writeRequestHead } from '../writer.ts'

/** What may not be a field value, or a request target, on its own: see `writeRequestHead`. */
const NOT_FIELD_VALUE = /[^\t\x20-\x7e\x80-\xff]/
const NOT_TARGET = /[^\x21-\x22\x24-\x7e]/

/** Names known to be tokens; most requests repeat the same few. */
const checkedNames = new Set<string>()
const MAX_CHECKED_NAMES = 1024

const METHODS: ReadonlySet<string> = new Set([
  'GET',
  'POST',
  'PUT',
  'DELETE',
  'PATCH',
  'HEAD',
  'OPTIONS',
  // With a path it is nonsense, but nothing else: undici leaves it to the server.
  'CONNECT'
])

/**
 * A request's line, with its line end. In parts, so that what many requests share is checked and
 * put together once; `writeRequestHead` is the same for a whole head.
 *
 * @throws {InvalidArgumentError} when a byte of it could begin another line
 */
export function requestLine(method: string, target: string): string {
  if (METHODS.has(method) && target.startsWith('/') && !NOT_TARGET.test(target)) {
    return `${method} ${target} HTTP/1.1\r\n`
  }
  // All that is rare; the Host is not sent.
  const head = writeRequestHead(method, target, ['host', ''])
  return head.slice(0, head.indexOf('\n') + 1)
}

/**
 * `Host` with its line end.
 *
 * @throws {InvalidArgumentError}
 */
export function hostLine(host: string): string {
  const head = writeRequestHead('GET', '/', ['host', host])
  return head.slice(head.indexOf('\n') + 1, -2)
}

/**
 * A field with its line end. Not for those that frame or route the message: the caller writes
 * those, each once.
 *
 * @throws {InvalidArgumentError} when a byte of it could begin another line
 */
export function fieldLine(name: string, value: string): string {
  if (!checkedNames.has(name)) checkName(name)
  if (NOT_FIELD_VALUE.test(value)) {
    throw new InvalidArgumentError(`the value of ${name}`, 'text without control characters', value)
  }
  return `${name}: ${value}\r\n`
}

function checkName(name: string): void {
  if (typeof name !== 'string' || !isToken(name)) {
    throw new InvalidArgumentError('a header', 'a field name', name)
  }
  if (/^(?:host|content-length|transfer-encoding)$/i.test(name)) {
    throw new InvalidArgumentError('a header', 'one that does not frame the message', name)
  }
  if (checkedNames.size >= MAX_CHECKED_NAMES) checkedNames.clear()
  checkedNames.add(name)
}
