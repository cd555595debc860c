/** Whether a request matches a route whose host it has. */
import type { Headers, RequestHead } from '../adapter/http1/codec.ts'
import type { HeaderMatchConfig, MatchConfig } from './config/types.ts'

/** @param path decoded by {@link decodePath} when a route of the host looks at it */
export type Matcher = (path: string, head: RequestHead) => boolean

export function matcherOf(match: MatchConfig): Matcher {
  const path = pathMatcher(match)
  const { methods, headers } = match
  if (methods === undefined && headers.length === 0) return path
  return (decoded, head) =>
    path(decoded) &&
    (methods === undefined || methods.includes(head.method)) &&
    headers.every((header) => headerMatches(header, head.headers))
}

function pathMatcher({ path, prefix }: MatchConfig): (decoded: string) => boolean {
  if (path !== undefined) return (decoded) => decoded === path
  if (prefix === '/') return () => true
  return (decoded) => prefixMatches(prefix, decoded)
}

/** `/api` matches `/api` and `/api/x`, not `/apix`. */
function prefixMatches(prefix: string, path: string): boolean {
  if (!path.startsWith(prefix)) return false
  return prefix.endsWith('/') || path.length === prefix.length || path[prefix.length] === '/'
}

function headerMatches({ name, test, value }: HeaderMatchConfig, headers: Headers): boolean {
  const found = combinedValue(headers, name)
  switch (test) {
    case 'present':
      return found !== undefined
    case 'absent':
      return found === undefined
    case 'exact':
      return found === value
    case 'prefix':
      return found?.startsWith(value) === true
  }
}

/** Of all fields called `name`, as one (RFC 9110 5.3): the first alone would hide the others. */
function combinedValue(headers: Headers, name: string): string | undefined {
  let combined: string | undefined
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const candidate = headers[i] as string
    if (candidate.length !== name.length || candidate.toLowerCase() !== name) continue
    const value = headers[i + 1] as string
    combined = combined === undefined ? value : `${combined}, ${value}`
  }
  return combined
}

/**
 * The path without its query, percent-decoded as the app's router will decode it; `undefined` when
 * the app may see another path than we do: `.` and `..` segments, encoded slashes, backslashes.
 */
export function decodePath(target: string): string | undefined {
  const query = target.indexOf('?')
  const path = query === -1 ? target : target.slice(0, query)
  if (!/[.\\%]/.test(path)) return path
  if (/\\|%2f|%5c/i.test(path)) return undefined
  let decoded: string
  try {
    decoded = decodeURIComponent(path)
  } catch {
    return undefined
  }
  return /(?:^|\/)\.{1,2}(?:\/|$)/.test(decoded) ? undefined : decoded
}
