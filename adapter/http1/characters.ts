export const HTAB = 0x09
export const LF = 0x0a
export const CR = 0x0d
export const SP = 0x20
export const QUOTE = 0x22
export const COMMA = 0x2c
export const SLASH = 0x2f
export const COLON = 0x3a
export const SEMICOLON = 0x3b
export const EQUALS = 0x3d
export const QUESTION = 0x3f
export const BACKSLASH = 0x5c

const ALPHANUMERIC = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'

/** 1 for each `tchar` of RFC 9110 5.6.2. */
export const TOKEN: Uint8Array = table(`${ALPHANUMERIC}!#$%&'*+-.^_\`|~`)

/** 1 for each character of `reg-name` (RFC 3986 3.2.2) but the comma, which splits lists. */
export const REG_NAME: Uint8Array = table(`${ALPHANUMERIC}-._~%!$&'()*+;=`)

/** 1 for visible ASCII but `#`. Bytes above ASCII have to come encoded, as for node:http. */
export const TARGET: Uint8Array = new Uint8Array(256)
for (let byte = SP + 1; byte < 0x7f; byte++) TARGET[byte] = byte === 0x23 ? 0 : 1

/** The value of a hexadecimal digit plus one; 0 for every other byte. */
export const HEX: Uint8Array = new Uint8Array(256)
for (let value = 0; value < 16; value++) {
  HEX[value.toString(16).charCodeAt(0)] = value + 1
  HEX[value.toString(16).toUpperCase().charCodeAt(0)] = value + 1
}

function table(characters: string): Uint8Array {
  const flags = new Uint8Array(256)
  for (const character of characters) flags[character.charCodeAt(0)] = 1
  return flags
}

/** HTAB, SP, VCHAR or obs-text (RFC 9110 5.5): the bytes of a field value or reason phrase. */
export function isTextByte(code: number): boolean {
  return code >= SP ? code !== 0x7f && code <= 0xff : code === HTAB
}

/** Whether `text` is a `token`: a method, a field name, a connection option. */
export function isToken(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    if (TOKEN[text.charCodeAt(i)] !== 1) return false
  }
  return text.length > 0
}

/** Whether every character of `text` may stand in a request target. */
export function isTarget(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    if (TARGET[text.charCodeAt(i)] !== 1) return false
  }
  return text.length > 0
}

/** Whether `text` can stand as a field value: no control but HTAB, nothing above 0xff. */
export function isFieldValue(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    if (!isTextByte(text.charCodeAt(i))) return false
  }
  return true
}

/**
 * Whether `text` from `start` to `end` is `lower` in any case. `lower` holds lower-case letters,
 * digits and `-` only. Right for tokens: no other token character becomes one of those by `| 0x20`.
 */
export function equalsIgnoreCase(text: string, start: number, end: number, lower: string): boolean {
  if (end - start !== lower.length) return false
  for (let i = 0; i < lower.length; i++) {
    const code = text.charCodeAt(start + i)
    const expected = lower.charCodeAt(i)
    if (code !== expected && (code < 0x41 || code > 0x5a || (code | 0x20) !== expected)) {
      return false
    }
  }
  return true
}

/**
 * Whether the bytes at `at` are those of `lower` in any case; `lower` holds letters and `-` only.
 * Nothing but an upper-case letter or CR becomes one of those by `| 0x20`.
 */
export function matches(bytes: Uint8Array, at: number, lower: Uint8Array): boolean {
  for (let i = 0; i < lower.length; i++) {
    if (((bytes[at + i] as number) | 0x20) !== lower[i]) return false
  }
  return true
}
