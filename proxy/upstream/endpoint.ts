import type { LookupFunction } from 'node:net'
import { KnownFields, type Watched } from '../../adapter/http1/codec.ts'
import { Link, type LinkStatistics, type ShmSession } from '../../adapter/shmipc/index.ts'
import type { ClusterConfig, EndpointConfig } from '../config/types.ts'
import type { ProxyContext } from '../context.ts'
import { describeError, type Failure } from '../failure.ts'
import type { Wire } from '../wire/wire.ts'
import { type Attach, ConnectTimeoutError, openWire } from './connect.ts'
import { UpstreamConnection } from './connection.ts'
import { Ejection } from './ejection.ts'
import { FreeMemory } from './free-memory.ts'
import { DeniedAddressError } from './passthrough-rules.ts'

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
  readonly weight: number
  readonly ejection: Ejection
  inFlight = 0
  /** Of the responses of all its connections. */
  readonly known: KnownFields = new KnownFields()
  readonly #config: EndpointConfig
  readonly #limits: ClusterConfig
  readonly #context: ProxyContext
  readonly #lookup: LookupFunction | undefined
  readonly #link: Link | undefined
  readonly #memory: FreeMemory | undefined
  readonly #open = new Set<UpstreamConnection>()
  /** The longest idle first. */
  readonly #idle: UpstreamConnection[] = []
  readonly #waiters: Waiter[] = []
  #connecting = 0
  #requests = 0
  #connectFailures = 0
  #closed = false
  #retired: (() => void) | undefined

  /**
   * @param mayEject whether the cluster can do without it because of what it answers
   * @param lookup in place of the system's, for the name of an `http://` address
   */
  constructor(
    config: EndpointConfig,
    limits: ClusterConfig,
    context: ProxyContext,
    mayEject: () => boolean,
    lookup?: LookupFunction
  ) {
    this.weight = config.weight
    this.ejection = new Ejection(limits.outlier, mayEject)
    this.label = `${limits.name} at ${config.address.text}`
    this.#config = config
    this.#limits = limits
    this.#context = context
    this.#lookup = lookup
    if (config.address.kind === 'shm') {
      const { memory, tuning } = config
      this.#link = new Link(config.address.path, { ...tuning, memory })
      this.#memory = new FreeMemory(this.#link, limits.minFreeMemoryPercent)
    }
  }

  /** Nothing is open, wanted or on its way. */
  get unused(): boolean {
    return this.#open.size === 0 && this.#connecting === 0 && this.#waiters.length === 0
  }

  /** It has a connection, in use or idle. */
  get connected(): boolean {
    return this.#open.size > 0
  }

  /** So little of its shared memory is free that it is sent nothing new. */
  isShort(): boolean {
    return this.#memory?.isShort() === true
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
    this.#requests++
    this.wait(waiter)
    return 'waiting'
  }

  /** `waiter` is told when it has a connection, or that there is none, unless it is cancelled. */
  wait(waiter: Waiter): void {
    this.inFlight++
    this.#waiters.push(waiter)
    this.#connectMore()
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
    const last = this.#closed || connection.idleLimitMs <= 0 || isSpent(connection.wire)
    if (!reusable || last) {
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
    this.#endRetirement()
  }

  sweep(now: number): void {
    for (let i = this.#idle.length - 1; i >= 0; i--) {
      const connection = this.#idle[i] as UpstreamConnection
      if (now >= connection.idleUntil) connection.destroy()
    }
  }

  /** Idle connections are closed, busy ones when their response has ended; `done` is called then. */
  retire(done?: () => void): void {
    this.#closed = true
    this.#retired = () => {
      this.#link?.destroy()
      done?.()
    }
    for (const connection of [...this.#idle]) connection.destroy()
    this.#endRetirement()
  }

  /** Everything is closed at once. */
  destroy(): void {
    this.retire()
    for (const connection of [...this.#open]) connection.destroy()
    this.#link?.destroy()
  }

  get sessions(): readonly ShmSession[] {
    return this.#link?.sessions ?? []
  }

  statistics(): EndpointStatistics {
    return {
      address: this.#config.address.text,
      inFlight: this.inFlight,
      connections: this.#open.size,
      idle: this.#idle.length,
      requests: this.#requests,
      connectFailures: this.#connectFailures,
      ejected: this.ejection.active,
      link: this.#link?.statistics()
    }
  }

  #endRetirement(): void {
    if (this.#retired === undefined || !this.unused) return
    const retired = this.#retired
    this.#retired = undefined
    retired()
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
      const { connectTimeoutMs } = this.#limits
      openWire(this.#config.address, this.#link, connectTimeoutMs, this.#lookup).then(
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
      this.#endRetirement()
      return
    }
    if (this.#open.size === 0) this.#context.deadlines.watch(this)
    this.#open.add(connection)
    this.#offer(connection)
  }

  #connectFailed(error: Error): void {
    this.#connecting--
    this.#connectFailures++
    this.ejection.unreachable()
    const waiter = this.#waiters.shift()
    if (waiter !== undefined) {
      this.inFlight--
      waiter.connectFailed(this, this.#unreachable(error))
    }
    this.#connectMore()
    this.#endRetirement()
  }

  #unreachable(error: Error): Failure {
    if (error instanceof DeniedAddressError) return error.failure
    return {
      reason: error instanceof ConnectTimeoutError ? 'upstream_timeout' : 'upstream_unreachable',
      status: 503,
      message: `upstream ${this.label} unreachable: ${describeError(error)}`
    }
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
