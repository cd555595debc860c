import type { EventEmitter } from 'node:events'
import { Dispatcher, errors, getGlobalDispatcher } from 'undici'
import type { LinkStatistics } from '../shmipc/index.ts'
import { allocateFor, releaseBody } from './body-memory.ts'
import { speakBothDialects } from './both-dialects.ts'
import type { EventLimits } from './event-limits.ts'
import { AgentExchange } from './exchange.ts'
import {
  type ControllerHandler,
  checkHandler,
  type Handler,
  tellRefused,
  type UserHandler
} from './handlers.ts'
import { resolveAgentOptions, type ShmAgentOptions } from './options.ts'
import { Origin } from './origin.ts'
import { asksToRedirect, dispatchRedirecting } from './redirect.ts'
import { Router } from './router.ts'
import { Shutdown } from './shutdown.ts'
import { IS_UNDICI_8 } from './undici-version.ts'

export interface ShmAgentStatistics {
  readonly links: readonly LinkStatistics[]
  /** Connections made past the proxy because nobody listened on its socket. */
  readonly failedOpen: number
  /** Those with connections or requests now; one by several sockets has an entry for each. */
  readonly origins: readonly OriginStatistics[]
}

export interface OriginStatistics {
  readonly origin: string
  /** Of the socket it is reached by. */
  readonly path: string
  /** Open now. */
  readonly connections: number
  /** Requests that wait for one. */
  readonly queued: number
}

interface State {
  readonly router: Router
  readonly shutdown: Shutdown
  readonly eventLimits: EventLimits
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

    const router = new Router(resolved, {
      emitOf: (event, origin, ...error) => plain(this).emit(event, origin, [this], ...error),
      emitError: (error) => plain(this).emit('error', error)
    })
    const { eventLimits } = resolved
    this[kState] = { router, shutdown: new Shutdown(router), eventLimits }
  }

  get closed(): boolean {
    return this[kState].shutdown.closed
  }

  get destroyed(): boolean {
    return this[kState].shutdown.destroyed
  }

  /** Read by undici's `WebSocket`. */
  get webSocketOptions(): EventLimits['webSocket'] {
    return this[kState].eventLimits.webSocket
  }

  /** Read by undici's `EventSource`. */
  get eventSourceOptions(): EventLimits['eventSource'] {
    return this[kState].eventLimits.eventSource
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: ControllerHandler): boolean
  override dispatch(options: Dispatcher.DispatchOptions, handler: UserHandler): boolean
  override dispatch(
    options: Dispatcher.DispatchOptions,
    handler: ControllerHandler | UserHandler
  ): boolean {
    checkHandler(handler)
    try {
      return asksToRedirect(options)
        ? dispatchRedirecting(this, options, handler as never)
        : send(this[kState], options, handler as never)
    } catch (error) {
      tellRefused(handler as never, error)
      return false
    }
  }

  /**
   * `bytes` zero bytes where the server of `origin` can read them, to be filled and then sent once,
   * as `body` of a request to that origin: no byte of it is copied.
   *
   *     const body = agent.alloc(size, { origin })
   *     encodeInto(body)
   *     await agent.request({ origin, path: '/', method: 'POST', body })
   *
   * Sending gives the bytes away: the Buffer is empty from then on, and a request that breaks behind
   * that is not sent again. Whoever does not send it gives it back by {@link release}, or drops it.
   * To another origin it is copied.
   *
   * Ordinary memory below 16 KiB, when shared memory is short or there is no slice so large, before
   * the first request to `origin`, and where requests to it do not go through shared memory.
   *
   * @throws {InvalidArgumentError} (`SHM_ERR_INVALID_ARG`) when `bytes` is no length
   * @throws {errors.InvalidArgumentError} of undici (`UND_ERR_INVALID_ARG`) when `origin` is none
   */
  alloc(bytes: number, { origin }: { readonly origin: string | URL }): Buffer {
    return allocateFor(this[kState].router, origin, bytes)?.fill(0) ?? Buffer.alloc(bytes)
  }

  /** As {@link alloc}, with whatever bytes this process sent there before: all must be written. */
  allocUnsafe(bytes: number, { origin }: { readonly origin: string | URL }): Buffer {
    return allocateFor(this[kState].router, origin, bytes) ?? Buffer.allocUnsafe(bytes)
  }

  /** Gives a Buffer of `alloc` back unsent; it is empty then. Other Buffers stay as they are. */
  release(buffer: Buffer): void {
    releaseBody(buffer)
  }

  statistics(): ShmAgentStatistics {
    const { ways, active } = this[kState].router
    return {
      links: ways.map((way) => way.statistics()),
      failedOpen: ways.reduce((sum, { failedOpen }) => sum + failedOpen, 0),
      origins: active.map(({ origin, way, pool }) => ({
        origin,
        path: way.path,
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
  return agent[kState].router.takes(origin)
}

/** @throws when the request cannot be begun */
function send(state: State, options: Dispatcher.DispatchOptions, handler: Handler): boolean {
  if (typeof options !== 'object' || options === null) {
    throw new errors.InvalidArgumentError('opts must be an object.')
  }
  // It refuses what the others ignore.
  if (IS_UNDICI_8 && (options as { dispatcher?: unknown }).dispatcher) {
    throw new errors.InvalidArgumentError(
      'opts.dispatcher is not supported by instance methods. Pass opts.dispatcher to the top-level undici functions or call the dispatcher instance method directly.'
    )
  }
  state.shutdown.check()
  const route = state.router.find(options.origin, options.body)
  if (!(route instanceof Origin))
    return route.dispatch(options, speakBothDialects(handler) as never)
  return new AgentExchange(route, options, handler).begin()
}

/** undici types each event apart. */
function plain(emitter: EventEmitter): EventEmitter {
  return emitter
}
