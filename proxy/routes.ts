/** Which cluster a request goes to: the first route whose host and path prefix both match. */
import type { RouteConfig } from './config/types.ts'

/** A route with what it leads to. */
export interface Route<T> {
  readonly host: string
  readonly prefix: string
  readonly cluster: T
}

export type RouteResult<T> =
  | { readonly cluster: T }
  /** Which part of the request matched no route, or may not be matched. */
  | { readonly cluster?: undefined; readonly unmatched: 'host' | 'path' | 'ambiguous path' }

const UNMATCHED_HOST = { unmatched: 'host' } as const
const UNMATCHED_PATH = { unmatched: 'path' } as const
const AMBIGUOUS_PATH = { unmatched: 'ambiguous path' } as const

export class RouteTable<T> {
  readonly #routes: readonly Route<T>[]
  /** Set when the first route takes everything, as with `--upstream`. */
  readonly #only: { readonly cluster: T } | undefined
  readonly #byPath: boolean

  constructor(configs: readonly RouteConfig[], find: (cluster: string) => T) {
    this.#routes = configs.map(({ host, prefix, cluster }) => ({
      host,
      prefix,
      cluster: find(cluster)
    }))
    const first = this.#routes[0]
    this.#only = first?.host === '*' && first.prefix === '/' ? first : undefined
    this.#byPath = this.#routes.some((route) => route.prefix !== '/')
  }

  /**
   * @param authority `host` or `host:port`; any case; may be empty
   * @param path origin-form target, or `*`
   */
  find(authority: string, path: string): RouteResult<T> {
    if (this.#only !== undefined) return this.#only
    const bare = this.#byPath ? decodePath(path) : path
    if (bare === undefined) return AMBIGUOUS_PATH
    const host = hostOf(authority)
    let hostMatched = false
    for (const route of this.#routes) {
      if (!hostMatches(route.host, host)) continue
      if (prefixMatches(route.prefix, bare)) return route
      hostMatched = true
    }
    return hostMatched ? UNMATCHED_PATH : UNMATCHED_HOST
  }
}

/** Lower case, without the port and without a trailing dot. */
export function hostOf(authority: string): string {
  const bracket = authority.indexOf(']')
  const colon = authority.indexOf(':', bracket + 1)
  const host = (colon === -1 ? authority : authority.slice(0, colon)).toLowerCase()
  return host.endsWith('.') ? host.slice(0, -1) : host
}

function hostMatches(pattern: string, host: string): boolean {
  if (pattern === '*') return true
  if (!pattern.startsWith('*.')) return pattern === host
  return host.length > pattern.length - 1 && host.endsWith(pattern.slice(1))
}

/** `/api` matches `/api` and `/api/x`, not `/apix`. */
function prefixMatches(prefix: string, path: string): boolean {
  if (prefix === '/') return true
  if (!path.startsWith(prefix)) return false
  return prefix.endsWith('/') || path.length === prefix.length || path[prefix.length] === '/'
}

/**
 * The path without its query, percent-decoded as the app's router will decode it; `undefined` when
 * the app may see another path than we do: `.` and `..` segments, encoded slashes, backslashes.
 */
function decodePath(target: string): string | undefined {
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
