import type { EventEmitter } from 'node:events'
import { Dispatcher, errors, getGlobalDispatcher } from 'undici'
import { Clock } from '../http1/index.ts'
import type { LinkStatistics } from '../shmipc/index.ts'
import { speakBothDialects } from './both-dialects.ts'
import { AgentExchange } from './exchange.ts'
import { checkHandler, type Handler, tellRefused } from './handlers.ts'
import { type ResolvedAgentOptions, resolveAgentOptions, type ShmAgentOptions } from './options.ts'
import { Origin, type OriginOwner } from './origin.ts'
import { Shutdown } from './shutdown.ts'
import { Way } from './way.ts'

export interface ShmAgentStatistics {
  readonly links: readonly LinkStatistics[]
  /** Connections made past the proxy because nobody listened on its socket. */
  readonly failedOpen: number
  /** Those with connections or requests now. */
  readonly origins: readonly OriginStatistics[]
}

export interface OriginStatistics {
  readonly origin: string
  /** Open now. */
  readonly connections: number
  /** Requests that wait for one. */
  readonly queued: number
}

type Route = Origin | Dispatcher

interface State {
  readonly options: ResolvedAgentOptions
  /** By socket path. */
  readonly ways: Map<string, Way>
  /** By what requests give as origin, in whatever spelling. */
  readonly known: Map<string, Route>
  /** Those with something open or to do, by their normal spelling; ... */
  readonly origins: Map<string, Origin>
  /** ... and all of them: one that failed in between may be there twice. */
  readonly active: Set<Origin>
  readonly clock: Clock
  readonly owner: OriginOwner
  readonly shutdown: Shutdown
}

/** Most spellings of origins remembered. */
const MAX_KNOWN = 1024

// Not #private: undici's compose() calls methods on a Proxy of the agent.
const kState: unique symbol = Symbol('shmesh.agent.state')

/**
 * An undici dispatcher whose `http:` requests travel through shared memory to the proxy beside this
 * process, and by plain HTTP on the same socket when shared memory cannot be had. `https:` requests
 * and hosts without a route go where they went before.
 *
 *     setGlobalDispatcher(new ShmAgent())
 */
export class ShmAgent extends Dispatcher {
  /** @internal */ readonly [kState]: State

  /** @throws {InvalidArgumentError} (`SHM_ERR_INVALID_ARG`) */
  constructor(options: string | ShmAgentOptions = {}) {
    super()
    const resolved = resolveAgentOptions(options, getGlobalDispatcher)

    const state: State = {
      options: resolved,
      ways: new Map(),
      known: new Map(),
      origins: new Map(),
      active: new Set(),
      clock: new Clock(),
      owner: {
        emitOf: (event, origin, ...error) => plain(this).emit(event, origin, [this], ...error),
        emitError: (error) => plain(this).emit('error', error),
        remember: (origin) => remember(state, origin),
        forget: (origin) => forget(state, origin)
      },
      shutdown: new Shutdown({
        finish: () => finish(state),
        release: () => release(state),
        abort: (error) => abort(state, error)
      })
    }
    this[kState] = state
  }

  get closed(): boolean {
    return this[kState].shutdown.closed
  }

  get destroyed(): boolean {
    return this[kState].shutdown.destroyed
  }

  override dispatch(
    options: Dispatcher.DispatchOptions,
    handler: Dispatcher.DispatchHandler
  ): boolean {
    checkHandler(handler)
    try {
      return send(this[kState], options, handler as never)
    } catch (error) {
      tellRefused(handler as never, error)
      return false
    }
  }

  statistics(): ShmAgentStatistics {
    const { ways, active } = this[kState]
    const all = [...ways.values()]
    return {
      links: all.map((way) => way.statistics()),
      failedOpen: all.reduce((sum, { failedOpen }) => sum + failedOpen, 0),
      origins: [...active].map(({ origin, pool }) => ({
        origin,
        connections: pool.size,
        queued: pool.queued
      }))
    }
  }

  /** Takes no new requests; resolves when those under way have ended. It is destroyed then. */
  override close(): Promise<void>
  override close(callback: () => void): void
  override close(callback?: () => void): Promise<void> | void {
    return this[kState].shutdown.close(callback)
  }

  /** Fails what is under way, with `error` when it is given. */
  override destroy(): Promise<void>
  override destroy(error: Error | null): Promise<void>
  override destroy(callback: () => void): void
  override destroy(error: Error | null, callback: () => void): void
  override destroy(
    error?: Error | null | (() => void),
    callback?: () => void
  ): Promise<void> | void {
    return this[kState].shutdown.destroy(error, callback)
  }
}

/** @internal Whether requests to `origin` go through shared memory. */
export function takes(agent: ShmAgent, origin: string | URL | undefined): boolean {
  return routeTo(agent[kState], origin) instanceof Origin
}

async function finish({ active }: State): Promise<void> {
  const open = [...active]
  await Promise.all(open.map(({ pool }) => pool.close()))
  for (const origin of open) origin.tellDisconnected()
}

async function release({ ways }: State): Promise<void> {
  await Promise.all([...ways.values()].map(({ link }) => link.close()))
}

function abort({ active, ways }: State, error: Error): void {
  const open = [...active]
  for (const { pool } of open) pool.destroy(error)
  for (const origin of open) origin.tellDisconnected()
  for (const { link } of ways.values()) link.destroy()
}

/** @throws when the request cannot be begun */
function send(state: State, options: Dispatcher.DispatchOptions, handler: Handler): boolean {
  if (typeof options !== 'object' || options === null) {
    throw new errors.InvalidArgumentError('opts must be an object.')
  }
  state.shutdown.check()
  const route = routeTo(state, options.origin)
  if (!(route instanceof Origin))
    return route.dispatch(options, speakBothDialects(handler) as never)
  return new AgentExchange(route, options, handler).begin()
}

function routeTo(state: State, origin: string | URL | undefined): Route {
  const spelling = typeof origin === 'string' ? origin : origin?.origin
  if (spelling === undefined || spelling === '') {
    throw new errors.InvalidArgumentError('opts.origin must be a non-empty string or URL.')
  }
  const known = state.known.get(spelling)
  if (known !== undefined) return known
  const url = parseOrigin(spelling)
  const route = findRoute(state, url)
  // An origin is forgotten when nothing of it is open.
  if (!(route instanceof Origin || state.options.routes.fixed)) return route
  if (state.known.size >= MAX_KNOWN) state.known.clear()
  state.known.set(spelling, route)
  return route
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

function findRoute(state: State, url: URL): Route {
  const { options, origins, clock, owner } = state
  if (url.protocol === 'https:') return options.https
  const path = options.routes.find(url.host)
  if (path === undefined) return options.fallback
  return (
    origins.get(url.origin) ?? new Origin(url, wayTo(state, path), owner, clock, options.origin)
  )
}

function wayTo(state: State, path: string): Way {
  const known = state.ways.get(path)
  if (known !== undefined) return known
  const { session, failOpen } = state.options
  const way = new Way(path, session, failOpen)
  state.ways.set(path, way)
  // New requests must not meet connections whose server is going.
  way.link.on('renew', (waitUntil) => {
    for (const origin of state.active) {
      if (origin.way === way) waitUntil(origin.pool.retire())
    }
  })
  return way
}

function remember(state: State, origin: Origin): void {
  state.active.add(origin)
  state.origins.set(origin.origin, origin)
}

function forget(state: State, origin: Origin): void {
  state.active.delete(origin)
  if (state.origins.get(origin.origin) === origin) state.origins.delete(origin.origin)
  for (const [spelling, route] of state.known) if (route === origin) state.known.delete(spelling)
}

/** undici types each event apart. */
function plain(emitter: EventEmitter): EventEmitter {
  return emitter
}
