import { COLON, equalsIgnoreCase, HEX, QUESTION, REG_NAME, SLASH } from './characters.ts'

const OPEN_BRACKET = 0x5b
const CLOSE_BRACKET = 0x5d
const PERCENT = 0x25
const DOT = 0x2e

/**
 * The authority a request target names: its text in absolute-form and authority-form, '' in
 * origin-form and asterisk-form, which leave it to Host. `undefined` when `target` is none of the
 * four, or not the one `method` asks for (RFC 9112 3.2). Every character of it is a target byte.
 */
export function targetAuthority(method: string, target: string): string | undefined {
  if (method === 'CONNECT') return isAuthority(target, true) ? target : undefined
  if (target.charCodeAt(0) === SLASH) return ''
  if (target === '*') return method === 'OPTIONS' ? '' : undefined
  const start = schemeEnd(target)
  if (start === 0) return undefined
  const authority = target.slice(start, authorityEnd(target, start))
  return isAuthority(authority, false) ? authority : undefined
}

/**
 * The target to send to an origin server: of an absolute-form its path and query, `*` when OPTIONS
 * names no path, every other form unchanged.
 */
export function originForm(method: string, target: string): string {
  if (target.charCodeAt(0) === SLASH) return target
  const start = schemeEnd(target)
  if (start === 0) return target
  const end = authorityEnd(target, start)
  if (end === target.length) return method === 'OPTIONS' ? '*' : '/'
  return target.charCodeAt(end) === QUESTION ? `/${target.slice(end)}` : target.slice(end)
}

/**
 * Whether `text` is `host` or `host:port` with a port of 1 to 5 digits up to 65535. No user
 * information, no comma, no empty host.
 */
export function isAuthority(text: string, portRequired: boolean): boolean {
  const end = text.length
  let i = 0
  if (text.charCodeAt(0) === OPEN_BRACKET) {
    i = 1
    while (i < end && isAddressByte(text.charCodeAt(i))) i++
    if (i < 3 || i === end || text.charCodeAt(i) !== CLOSE_BRACKET) return false
    i++
  } else {
    while (i < end && REG_NAME[text.charCodeAt(i)] === 1) {
      if (text.charCodeAt(i) === PERCENT && !isEscape(text, i)) return false
      i++
    }
    if (i === 0) return false
  }
  if (i === end) return !portRequired
  if (text.charCodeAt(i) !== COLON) return false
  return isPort(text, i + 1)
}

/**
 * Whether the bytes are a registered name with an optional port, without escapes: nearly every Host
 * there is. False does not say that they are no authority.
 */
export function isPlainHost(bytes: Uint8Array, start: number, length: number): boolean {
  const end = start + length
  let i = start
  while (i < end && REG_NAME[bytes[i] as number] === 1 && bytes[i] !== PERCENT) i++
  if (i === start) return false
  if (i === end) return true
  if (bytes[i] !== COLON || end - i > 5) return false
  const port = ++i
  while (i < end && (bytes[i] as number) >= 0x30 && (bytes[i] as number) <= 0x39) i++
  return i === end && i > port
}

function isPort(text: string, start: number): boolean {
  if (start === text.length || text.length - start > 5) return false
  let port = 0
  for (let i = start; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 0x30
    if (digit < 0 || digit > 9) return false
    port = port * 10 + digit
  }
  return port <= 65535
}

function isAddressByte(code: number): boolean {
  return HEX[code] !== 0 ? code <= 0xff : code === COLON || code === DOT
}

function isEscape(text: string, at: number): boolean {
  return at + 2 < text.length && isHex(text.charCodeAt(at + 1)) && isHex(text.charCodeAt(at + 2))
}

function isHex(code: number): boolean {
  return code <= 0xff && HEX[code] !== 0
}

function schemeEnd(target: string): number {
  if (equalsIgnoreCase(target, 0, 4, 'http') && target.startsWith('://', 4)) return 7
  if (equalsIgnoreCase(target, 0, 5, 'https') && target.startsWith('://', 5)) return 8
  return 0
}

function authorityEnd(target: string, start: number): number {
  let end = start
  while (end < target.length) {
    const code = target.charCodeAt(end)
    if (code === SLASH || code === QUESTION) break
    end++
  }
  return end
}
