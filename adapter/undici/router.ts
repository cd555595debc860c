import { type Dispatcher, errors } from 'undici'
import { SocketChoice } from '../client/index.ts'
import { Clock } from '../http1/index.ts'
import { BalancedOrigin } from './balanced-origin.ts'
import { pathOf } from './body-memory.ts'
import type { ResolvedAgentOptions } from './options.ts'
import { Origin, type OriginOwner } from './origin.ts'
import { Way } from './way.ts'

/** How what is routed here is told. */
export interface RouterEvents {
  /** The event's further arguments: the origin, the chain of dispatchers, perhaps an error. */
  emitOf(event: string, origin: URL, error?: Error): void
  emitError(error: unknown): void
}

/** Who dispatches requests to an origin. */
type Route = Origin | BalancedOrigin | Dispatcher

/** How far past their deadline requests and idle connections may be noticed, in milliseconds. */
const SWEEP_MS = 500

/** Most spellings of origins remembered. */
const MAX_KNOWN = 1024

/** What an agent has open: the ways to sockets, and the origins behind them. */
export class Router {
  readonly #options: ResolvedAgentOptions
  readonly #clock = new Clock(SWEEP_MS)
  readonly #owner: OriginOwner
  /** By socket path. */
  readonly #ways = new Map<string, Way>()
  /** By directory. */
  readonly #choices = new Map<string, SocketChoice>()
  /** By what requests give as origin, in whatever spelling. */
  readonly #known = new Map<string, Route>()
  /** Those with something open or to do, by their normal spelling; ... */
  readonly #origins = new Map<string, Origin | BalancedOrigin>()
  /** ... and all of them: behind each of several sockets, and when one failed in between, twice. */
  readonly #active = new Set<Origin>()

  constructor(options: ResolvedAgentOptions, events: RouterEvents) {
    this.#options = options
    this.#owner = {
      emitOf: (...event) => events.emitOf(...event),
      emitError: (error) => events.emitError(error),
      onConnected: () => undefined,
      canPassOn: () => false,
      passOn: () => false,
      remember: (origin) => {
        this.#active.add(origin)
        this.#origins.set(origin.origin, origin)
      },
      forget: (origin) => {
        this.#active.delete(origin)
        this.#forget(origin.origin, origin)
      }
    }
  }

  get ways(): readonly Way[] {
    return [...this.#ways.values()]
  }

  get active(): readonly Origin[] {
    return [...this.#active]
  }

  /**
   * Where a request to `origin` goes: through shared memory, or to another dispatcher.
   *
   * @param body of the request: of several servers, the one in whose memory it lies
   * @throws {errors.InvalidArgumentError} of undici
   */
  find(origin: string | URL | undefined, body?: unknown): Origin | Dispatcher {
    const route = this.#route(origin)
    return route instanceof BalancedOrigin ? route.next(pathOf(body)) : route
  }

  /** Whether requests to `origin` go through shared memory. Throws as `find`. */
  takes(origin: string | URL | undefined): boolean {
    const route = this.#route(origin)
    return route instanceof Origin || route instanceof BalancedOrigin
  }

  /** Resolves when all that is under way has ended. */
  async finish(): Promise<void> {
    const open = this.active
    await Promise.all(open.map(({ pool }) => pool.close()))
    for (const origin of open) origin.tellDisconnected()
  }

  /** Resolves when nothing is left open. */
  async release(): Promise<void> {
    for (const choice of this.#choices.values()) choice.close()
    await Promise.all(this.ways.map(({ link }) => link.close()))
  }

  /** Fails what is under way. */
  abort(error: Error): void {
    for (const choice of this.#choices.values()) choice.close()
    const open = this.active
    for (const { pool } of open) pool.destroy(error)
    for (const origin of open) origin.tellDisconnected()
    for (const { link } of this.ways) link.destroy()
  }

  #route(origin: string | URL | undefined): Route {
    const spelling = typeof origin === 'string' ? origin : origin?.origin
    if (spelling === undefined || spelling === '') {
      throw new errors.InvalidArgumentError('opts.origin must be a non-empty string or URL.')
    }
    const known = this.#known.get(spelling)
    if (known !== undefined) return known
    const route = this.#routeOf(parseOrigin(spelling))
    // An origin is forgotten when nothing of it is open.
    const lasts = route instanceof Origin || route instanceof BalancedOrigin
    if (!(lasts || this.#options.routes.fixed)) return route
    if (this.#known.size >= MAX_KNOWN) this.#known.clear()
    this.#known.set(spelling, route)
    return route
  }

  #routeOf(url: URL): Route {
    const { https, fallback, routes } = this.#options
    if (url.protocol === 'https:') return https
    const path = routes.find(url.host)
    if (path === undefined) return fallback
    const known = this.#origins.get(url.origin)
    if (known !== undefined) return known
    return path.endsWith('/') ? this.#balanced(url, path.slice(0, -1)) : this.#single(url, path)
  }

  #single(url: URL, path: string, owner: OriginOwner = this.#owner): Origin {
    return new Origin(url, this.#wayTo(path), owner, this.#clock, this.#options.origin)
  }

  #balanced(url: URL, directory: string): BalancedOrigin {
    const balanced: BalancedOrigin = new BalancedOrigin(
      this.#choiceIn(directory),
      {
        ...this.#owner,
        remember: (origin) => {
          this.#active.add(origin)
          this.#origins.set(url.origin, balanced)
        },
        forget: (origin) => this.#active.delete(origin)
      },
      (path, owner) => this.#single(url, path, owner),
      () => this.#forget(url.origin, balanced)
    )
    return balanced
  }

  #choiceIn(directory: string): SocketChoice {
    const known = this.#choices.get(directory)
    if (known !== undefined) return known
    const choice = new SocketChoice(directory, (path) => this.#leave(path))
    this.#choices.set(directory, choice)
    return choice
  }

  #wayTo(path: string): Way {
    const known = this.#ways.get(path)
    if (known !== undefined) return known
    const { session, failOpen } = this.#options
    const way = new Way(path, session, failOpen, () => this.#choices.get(path)?.problem)
    this.#ways.set(path, way)
    // New requests must not meet connections whose server is going.
    way.link.on('renew', (waitUntil) => waitUntil(this.#retire(way)))
    return way
  }

  async #retire(way: Way): Promise<void> {
    await Promise.all(this.active.map((origin) => origin.way === way && origin.pool.retire()))
  }

  /** The socket was removed: its server ends what it has begun. */
  async #leave(path: string): Promise<void> {
    const way = this.#ways.get(path)
    if (way === undefined) return
    this.#ways.delete(path)
    for (const origin of this.#origins.values()) {
      if (origin instanceof BalancedOrigin) origin.leave(path)
    }
    await this.#retire(way)
    await way.link.close()
  }

  #forget(spelling: string, origin: Origin | BalancedOrigin): void {
    if (this.#origins.get(spelling) === origin) this.#origins.delete(spelling)
    for (const [known, route] of this.#known) if (route === origin) this.#known.delete(known)
  }
}

function parseOrigin(spelling: string): URL {
  let url: URL
  try {
    url = new URL(spelling)
  } catch {
    throw new errors.InvalidArgumentError(`opts.origin must be a URL, got ${spelling}`)
  }
  if (url.protocol === 'http:' || url.protocol === 'https:') return url
  throw new errors.InvalidArgumentError(`opts.origin must begin with http: or https:, got ${url}`)
}
