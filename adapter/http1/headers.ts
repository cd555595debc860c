import { COMMA, equalsIgnoreCase, HTAB, SP } from './characters.ts'
import type { Headers } from './message.ts'

/**
 * Fields that concern one connection only (RFC 9110 7.6.1) and never travel on, in lower case.
 * What Connection lists besides comes from `connectionOptions`.
 */
export const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade'
])

/** The value of the first field called `name`, which is given in lower case. */
export function headerValue(headers: Headers, name: string): string | undefined {
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const candidate = headers[i] as string
    if (equalsIgnoreCase(candidate, 0, candidate.length, name)) return headers[i + 1]
  }
  return undefined
}

/**
 * Every option of every Connection field, in lower case. `host` and `content-length` are left out:
 * a client must not be able to make a proxy drop what delimits or routes its message.
 */
export function connectionOptions(headers: Headers): Set<string> {
  const options = new Set<string>()
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i] as string
    if (!equalsIgnoreCase(name, 0, name.length, 'connection')) continue
    const value = headers[i + 1] as string
    eachElement(value, 0, value.length, (start, end) => {
      options.add(value.slice(start, end).toLowerCase())
    })
  }
  options.delete('host')
  options.delete('content-length')
  return options
}

/** Calls `visit` for each non-empty element of a comma-separated list, without its white space. */
export function eachElement(
  text: string,
  from: number,
  to: number,
  visit: (start: number, end: number) => void
): void {
  let start = from
  while (start < to) {
    let comma = start
    while (comma < to && text.charCodeAt(comma) !== COMMA) comma++
    let first = start
    let last = comma
    while (first < last && isSpace(text.charCodeAt(first))) first++
    while (last > first && isSpace(text.charCodeAt(last - 1))) last--
    if (first < last) visit(first, last)
    start = comma + 1
  }
}

function isSpace(code: number): boolean {
  return code === SP || code === HTAB
}
