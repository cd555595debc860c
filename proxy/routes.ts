/** What becomes of a request: the first route that matches says it. */
import { originForm, type RequestHead } from '../adapter/http1/codec.ts'
import type { ListenerConfig, RouteConfig } from './config/types.ts'
import { type Destination, destinationsOf, WeightedChoice } from './destination.ts'
import { type Failure, failures } from './failure.ts'
import { decodePath, type Matcher, matcherOf } from './route-match.ts'
import type { Cluster } from './upstream/cluster.ts'

interface Route {
  readonly matches: Matcher
  readonly choice: WeightedChoice
}

/** The routes of one host, in order. */
interface HostRoutes {
  readonly routes: readonly Route[]
  /** The path takes part in the choice. */
  readonly byPath: boolean
}

/** The routes of a listener, sorted by host once so that a request looks at those of its host only. */
export class RouteTable {
  readonly #direction: ListenerConfig['direction']
  /** Set when the first route takes everything, as with `--upstream`. */
  readonly #only: WeightedChoice | undefined
  readonly #exact = new Map<string, HostRoutes>()
  /** Patterns with a star, with all routes a host that matches may take; the longest first. */
  readonly #wild: readonly (readonly [suffix: string, routes: HostRoutes])[]
  #lastAuthority: string | undefined
  #lastRoutes: HostRoutes | undefined

  /** @param find the cluster of a name */
  constructor(
    configs: readonly RouteConfig[],
    direction: ListenerConfig['direction'],
    find: (cluster: string) => Cluster
  ) {
    this.#direction = direction
    const routes = configs.map((config) => ({
      host: config.match.host,
      byPath: config.match.path !== undefined || config.match.prefix !== '/',
      matches: matcherOf(config.match),
      choice: new WeightedChoice(destinationsOf(config, find))
    }))
    const first = configs[0]
    this.#only = first !== undefined && takesAll(first) ? routes[0]?.choice : undefined

    const of = (host: string): HostRoutes => {
      const own = routes.filter((route) => hostMatches(route.host, host))
      return { routes: own, byPath: own.some((route) => route.byPath) }
    }
    const wild: (readonly [string, HostRoutes])[] = []
    for (const pattern of new Set(routes.map((route) => route.host))) {
      if (!pattern.startsWith('*')) this.#exact.set(pattern, of(pattern))
      // The name stands for every host below the suffix that no longer pattern matches.
      else wild.push([pattern.slice(1), of(pattern === '*' ? '' : `*${pattern.slice(1)}`)])
    }
    this.#wild = wild.sort(([a], [b]) => b.length - a.length)
  }

  find(head: RequestHead): Destination | Failure {
    if (this.#only !== undefined) return this.#only.next()
    const host = this.#routesOf(head.host)
    if (host === undefined) return failures.noHost(head.host, this.#unmatchedStatus)
    const target = originForm(head.method, head.target)
    const path = host.byPath ? decodePath(target) : target
    if (path === undefined) return failures.ambiguousPath()
    for (const route of host.routes) {
      if (route.matches(path, head)) return route.choice.next()
    }
    return failures.noPath()
  }

  get #unmatchedStatus(): 404 | 502 {
    return this.#direction === 'inbound' ? 404 : 502
  }

  /** Clients ask the same host again and again. */
  #routesOf(authority: string): HostRoutes | undefined {
    if (authority === this.#lastAuthority) return this.#lastRoutes
    const host = hostOf(authority)
    this.#lastAuthority = authority
    this.#lastRoutes =
      this.#exact.get(host) ?? this.#wild.find(([suffix]) => isBelow(host, suffix))?.[1]
    return this.#lastRoutes
  }
}

/** Lower case, without the port and without a trailing dot. */
export function hostOf(authority: string): string {
  const bracket = authority.indexOf(']')
  const colon = authority.indexOf(':', bracket + 1)
  const host = (colon === -1 ? authority : authority.slice(0, colon)).toLowerCase()
  return host.endsWith('.') ? host.slice(0, -1) : host
}

function takesAll({ match }: RouteConfig): boolean {
  const { host, path, prefix, methods, headers } = match
  const any = host === '*' && path === undefined && prefix === '/'
  return any && methods === undefined && headers.length === 0
}

function hostMatches(pattern: string, host: string): boolean {
  if (pattern === '*') return true
  return pattern.startsWith('*') ? isBelow(host, pattern.slice(1)) : pattern === host
}

/** @param suffix empty, or begins with a dot */
function isBelow(host: string, suffix: string): boolean {
  return suffix === '' || (host.length > suffix.length && host.endsWith(suffix))
}
