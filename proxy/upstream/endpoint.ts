import { Link, type LinkStatistics, type ShmSession } from '../../adapter/shmipc/index.ts'
import type { ClusterConfig, EndpointConfig } from '../config/types.ts'
import type { ProxyContext } from '../context.ts'
import type { Watched } from '../deadlines.ts'
import { describeError, type Failure } from '../failure.ts'
import type { Wire } from '../wire/wire.ts'
import { type Attach, ConnectTimeoutError, openWire } from './connect.ts'
import { UpstreamConnection } from './connection.ts'

/** After its first failure an endpoint is passed over for this long; doubled with each further. */
const FIRST_EJECTION_MS = 25
/** Short, so that an app that is back is found at once: a failed probe costs one refused connect. */
const MAX_EJECTION_MS = 250

/** Somebody in want of a connection. */
export interface Waiter {
  connected(connection: UpstreamConnection): void
  connectFailed(endpoint: Endpoint, failure: Failure): void
}

export interface EndpointStatistics {
  readonly address: string
  /** Requests on a connection of it, or waiting for one. */
  readonly inFlight: number
  readonly connections: number
  readonly idle: number
  readonly requests: number
  readonly connectFailures: number
  /** Passed over because it failed lately; another endpoint is asked first. */
  readonly ejected: boolean
  readonly link: LinkStatistics | undefined
}

/**
 * One address of a cluster with its connections. The one used last is used next, so that a quiet
 * endpoint's surplus runs into the idle timeout.
 */
export class Endpoint implements Watched {
  readonly label: string
  inFlight = 0
  readonly #config: EndpointConfig
  readonly #limits: ClusterConfig
  readonly #context: ProxyContext
  readonly #link: Link | undefined
  readonly #open = new Set<UpstreamConnection>()
  /** The longest idle first. */
  readonly #idle: UpstreamConnection[] = []
  readonly #waiters: Waiter[] = []
  #connecting = 0
  #requests = 0
  #connectFailures = 0
  #failures = 0
  #ejectedUntil = 0
  #closed = false

  constructor(config: EndpointConfig, limits: ClusterConfig, context: ProxyContext) {
    this.label = `${limits.name} at ${config.address.text}`
    this.#config = config
    this.#limits = limits
    this.#context = context
    if (config.address.kind === 'shm') {
      const memory = config.memory
      this.#link = new Link(config.address.path, memory === undefined ? {} : { memory })
    }
  }

  /** Nothing is open, wanted or on its way. */
  get unused(): boolean {
    return this.#open.size === 0 && this.#connecting === 0 && this.#waiters.length === 0
  }

  /**
   * Whether to ask this endpoint now. Of all who ask after an ejection has run out only the first
   * is told so; it probes for the others.
   */
  admits(): boolean {
    if (this.#failures === 0) return true
    const now = performance.now()
    if (now < this.#ejectedUntil) return false
    this.#ejectedUntil = now + MAX_EJECTION_MS
    return true
  }

  /** It broke a connection that had only just been made, or refused one. */
  failed(): void {
    const ejectionMs = Math.min(MAX_EJECTION_MS, FIRST_EJECTION_MS * 2 ** this.#failures)
    this.#failures++
    this.#ejectedUntil = performance.now() + ejectionMs
  }

  /** It answered. */
  succeeded(): void {
    this.#failures = 0
  }

  /**
   * A connection at once, or `'waiting'`: then `waiter` is told later, unless it is cancelled.
   *
   * @param fresh not one that has served before: it may be as dead as the one that just failed
   */
  acquire(waiter: Waiter, fresh: boolean): UpstreamConnection | 'waiting' | 'overloaded' {
    const connection = fresh ? undefined : this.#popIdle()
    if (connection !== undefined) {
      this.inFlight++
      this.#requests++
      return connection
    }
    const room = this.#limits.connections - this.#open.size - this.#connecting
    // Those a connection is being made for do not queue.
    const queued = this.#waiters.length - this.#connecting
    if (room <= 0 && !this.#makeRoom() && queued >= this.#limits.pending) return 'overloaded'
    this.inFlight++
    this.#requests++
    this.#waiters.push(waiter)
    this.#connectMore()
    return 'waiting'
  }

  /** Returns false when `waiter` was not waiting. */
  cancel(waiter: Waiter): boolean {
    const index = this.#waiters.indexOf(waiter)
    if (index === -1) return false
    this.#waiters.splice(index, 1)
    this.inFlight--
    return true
  }

  /** After a response: the next waiter takes the connection, or it idles. */
  release(connection: UpstreamConnection, reusable: boolean): void {
    if (!this.#open.has(connection)) return
    if (!reusable || this.#closed || connection.idleLimitMs <= 0) {
      connection.destroy()
      return
    }
    this.inFlight--
    connection.wire.resume()
    this.#offer(connection)
  }

  /** The connection is gone, or not ours any more. Idempotent. */
  removed(connection: UpstreamConnection): void {
    if (!this.#open.delete(connection)) return
    const index = this.#idle.lastIndexOf(connection)
    if (index === -1) this.inFlight--
    else this.#idle.splice(index, 1)
    if (this.#open.size === 0) this.#context.deadlines.unwatch(this)
    this.#connectMore()
  }

  sweep(now: number): void {
    for (let i = this.#idle.length - 1; i >= 0; i--) {
      const connection = this.#idle[i] as UpstreamConnection
      if (now >= connection.idleUntil) connection.destroy()
    }
  }

  /** No new connections; idle ones are closed, busy ones when their response has ended. */
  close(): void {
    this.#closed = true
    for (const connection of [...this.#idle]) connection.destroy()
  }

  /** Everything is closed at once. */
  destroy(): void {
    this.close()
    for (const connection of [...this.#open]) connection.destroy()
    this.#link?.destroy()
  }

  get sessions(): readonly ShmSession[] {
    return this.#link?.sessions ?? []
  }

  /** Whether a connection can be had within the connect timeout; one is made when there is none. */
  reachable(): Promise<boolean> {
    if (this.#open.size > 0 && this.#failures === 0) return Promise.resolve(true)
    return new Promise((resolve) => {
      const waiter: Waiter = {
        connected: (connection) => {
          this.release(connection, true)
          clearTimeout(timer)
          resolve(true)
        },
        connectFailed: () => {
          clearTimeout(timer)
          resolve(false)
        }
      }
      const timer = setTimeout(() => {
        this.cancel(waiter)
        resolve(false)
      }, this.#limits.connectTimeoutMs)
      this.inFlight++
      this.#waiters.push(waiter)
      this.#connectMore()
    })
  }

  statistics(): EndpointStatistics {
    return {
      address: this.#config.address.text,
      inFlight: this.inFlight,
      connections: this.#open.size,
      idle: this.#idle.length,
      requests: this.#requests,
      connectFailures: this.#connectFailures,
      ejected: this.#failures > 0,
      link: this.#link?.statistics()
    }
  }

  #popIdle(): UpstreamConnection | undefined {
    for (;;) {
      const connection = this.#idle.at(-1)
      if (connection === undefined || !isSpent(connection.wire)) return this.#idle.pop()
      // While it is still listed as idle: removed() counts any other as in flight.
      connection.destroy()
    }
  }

  /** An idle connection is worth less than the fresh one somebody insists on. */
  #makeRoom(): boolean {
    const oldest = this.#idle[0]
    oldest?.destroy()
    return oldest !== undefined
  }

  #connectMore(): void {
    while (
      this.#connecting < this.#waiters.length &&
      this.#open.size + this.#connecting < this.#limits.connections
    ) {
      this.#connecting++
      openWire(this.#config.address, this.#link, this.#limits.connectTimeoutMs).then(
        (attach) => this.#connected(attach),
        (error: Error) => this.#connectFailed(error)
      )
    }
  }

  #connected(attach: Attach): void {
    this.#connecting--
    const connection = new UpstreamConnection(attach, this)
    if (this.#closed && this.#waiters.length === 0) {
      connection.destroy()
      return
    }
    if (this.#open.size === 0) this.#context.deadlines.watch(this)
    this.#open.add(connection)
    this.#offer(connection)
  }

  #connectFailed(error: Error): void {
    this.#connecting--
    this.#connectFailures++
    this.failed()
    const waiter = this.#waiters.shift()
    if (waiter !== undefined) {
      this.inFlight--
      const late = error instanceof ConnectTimeoutError
      waiter.connectFailed(this, {
        reason: late ? 'upstream_timeout' : 'upstream_unreachable',
        status: 503,
        message: `upstream ${this.label} unreachable: ${describeError(error)}`
      })
    }
    this.#connectMore()
  }

  /** The waiter was counted in flight when it began to wait. */
  #offer(connection: UpstreamConnection): void {
    const waiter = this.#waiters.shift()
    if (waiter !== undefined) {
      waiter.connected(connection)
      return
    }
    const limitMs = Math.min(this.#limits.idleTimeoutMs, connection.idleLimitMs)
    connection.idleUntil = this.#context.deadlines.now + limitMs
    this.#idle.push(connection)
  }
}

/**
 * Between its end and the news of it a dead wire may still be idle here; one whose server is going
 * will be ended by it, and must not be given another request.
 */
function isSpent(wire: Wire): boolean {
  return wire.closed || wire.retiring
}
