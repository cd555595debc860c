import type { EventEmitter } from 'node:events'
import { Agent, buildConnector, Dispatcher, errors, getGlobalDispatcher } from 'undici'
import { warnOnce } from '../log.ts'
import { Link, type LinkStatistics, UnreachableError } from '../shmipc/index.ts'
import { type ResolvedAgentOptions, resolveAgentOptions, type ShmAgentOptions } from './options.ts'
import { HostRoutes } from './routes.ts'
import { tellRefused, tellUnreachable } from './unreachable.ts'

interface State {
  readonly options: ResolvedAgentOptions
  readonly routes: HostRoutes
  /** One per socket path; its agent keeps one pool per origin. */
  readonly lanes: Map<string, Lane>
  readonly direct: ReturnType<typeof buildConnector>
  failedOpen: number
  closed: Promise<void> | undefined
  destroyed: Promise<void> | undefined
}

interface Lane {
  readonly link: Link
  agent: Agent
}

export interface ShmAgentStatistics {
  readonly links: readonly LinkStatistics[]
  /** Connections made past the proxy because nobody listened on its socket. */
  readonly failedOpen: number
}

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
    this[kState] = {
      options: resolved,
      routes: new HostRoutes(resolved.routes, resolved.uri),
      lanes: new Map(),
      direct: buildConnector({}),
      failedOpen: 0,
      closed: undefined,
      destroyed: undefined
    }
  }

  override dispatch(
    options: Dispatcher.DispatchOptions,
    handler: Dispatcher.DispatchHandler
  ): boolean {
    try {
      return route(this, options, handler)
    } catch (error) {
      tellRefused(handler, error)
      return false
    }
  }

  statistics(): ShmAgentStatistics {
    const { lanes, failedOpen } = this[kState]
    return { links: [...lanes.values()].map(({ link }) => link.statistics()), failedOpen }
  }

  override close(): Promise<void>
  override close(callback: () => void): void
  override close(callback?: () => void): Promise<void> | void {
    const state = this[kState]
    state.closed ??= endLanes(state, async ({ link, agent }) => {
      await agent.close()
      await link.close()
    })
    if (callback === undefined) return state.closed
    state.closed.then(callback, callback)
  }

  override destroy(): Promise<void>
  override destroy(error: Error | null): Promise<void>
  override destroy(callback: () => void): void
  override destroy(error: Error | null, callback: () => void): void
  override destroy(
    error?: Error | null | (() => void),
    callback?: () => void
  ): Promise<void> | void {
    const reason = typeof error === 'function' ? null : (error ?? null)
    const done = typeof error === 'function' ? error : callback
    const state = this[kState]
    state.destroyed ??= endLanes(state, async ({ link, agent }) => {
      await agent.destroy(reason)
      link.destroy()
    })
    if (done === undefined) return state.destroyed
    state.destroyed.then(done, done)
  }
}

async function endLanes(state: State, end: (lane: Lane) => Promise<void>): Promise<void> {
  await Promise.all([...state.lanes.values()].map(end))
}

/** @throws when the request cannot be begun */
function route(
  agent: ShmAgent,
  options: Dispatcher.DispatchOptions,
  handler: Dispatcher.DispatchHandler
): boolean {
  const state = agent[kState]
  if (state.destroyed !== undefined) throw new errors.ClientDestroyedError()
  if (state.closed !== undefined) throw new errors.ClientClosedError()
  const origin = toUrl(options.origin)
  if (origin?.protocol === 'https:') return state.options.https.dispatch(options, handler)
  const path = origin === undefined ? state.options.uri : state.routes.find(origin.host)
  if (path === undefined) return state.options.fallback.dispatch(options, handler)
  return laneTo(agent, path).agent.dispatch(options, tellUnreachable(handler))
}

function toUrl(origin: string | URL | undefined): URL | undefined {
  return typeof origin === 'string' ? new URL(origin) : origin
}

function laneTo(agent: ShmAgent, path: string): Lane {
  const state = agent[kState]
  const known = state.lanes.get(path)
  if (known !== undefined) return known
  const { memory } = state.options
  const link = new Link(path, { memory })
  const lane: Lane = { link, agent: poolsOver(agent, link) }
  state.lanes.set(path, lane)
  // New requests must not meet connections whose server is going.
  link.on('renew', (waitUntil) => {
    const { agent: retiring } = lane
    lane.agent = poolsOver(agent, link)
    waitUntil(retiring.close())
  })
  return lane
}

function poolsOver(agent: ShmAgent, link: Link): Agent {
  const pools = new Agent({ connect: connector(agent[kState], link) })
  for (const event of ['connect', 'disconnect', 'connectionError', 'drain'] as const) {
    // As plain emitters: undici types each event apart.
    const from: EventEmitter = pools
    const to: EventEmitter = agent
    from.on(event, (origin: URL, targets: Dispatcher[], ...rest: unknown[]) => {
      to.emit(event, origin, [agent, ...targets], ...rest)
    })
  }
  return pools
}

/** What undici connects with: a stream of the link stands in for a socket. */
function connector(state: State, link: Link): buildConnector.connector {
  return (target, callback) => {
    link.connect().then(
      // undici types a Socket and uses nothing a Duplex lacks.
      ({ stream }) => callback(null, stream as never),
      (error: Error) => {
        if (!(error instanceof UnreachableError) || !state.options.failOpen) {
          callback(error, null)
          return
        }
        state.failedOpen++
        warnOnce(
          'SHMESH_FAILED_OPEN',
          `${error.message}: requests go to their origin without the proxy (failOpen)`
        )
        state.direct(target, callback)
      }
    )
  }
}
