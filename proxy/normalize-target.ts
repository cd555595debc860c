import { originForm } from '../adapter/http1/codec.ts'

const UNRESERVED = /[A-Za-z0-9._~-]/

/**
 * The target in origin form with its path in normal form (RFC 3986 6.2.2): percent-encoding in
 * capitals and only where it is needed, no dot segments. What that leaves alone: double slashes,
 * encoded slashes, backslashes, encodings that are none, and the query.
 */
export function normalizeTarget(method: string, target: string): string {
  const origin = originForm(method, target)
  if (!/[.%]/.test(origin) || !origin.startsWith('/')) return origin
  const query = origin.indexOf('?')
  const path = query === -1 ? origin : origin.slice(0, query)
  const decoded = path.replace(/%([0-9a-f]{2})/gi, (encoded, digits: string) => {
    const character = String.fromCharCode(Number.parseInt(digits, 16))
    return UNRESERVED.test(character) ? character : encoded.toUpperCase()
  })
  return withoutDotSegments(decoded) + (query === -1 ? '' : origin.slice(query))
}

/** RFC 3986 5.2.4, for a path that begins with a slash. */
function withoutDotSegments(path: string): string {
  const segments = path.split('/').slice(1)
  const out: string[] = []
  for (const [index, segment] of segments.entries()) {
    const last = index === segments.length - 1
    if (segment === '..') out.pop()
    else if (segment !== '.') out.push(segment)
    if (last && (segment === '.' || segment === '..')) out.push('')
  }
  return `/${out.join('/')}`
}
