import type { Clock, Watched } from '../clock.ts'
import { KnownFields } from '../known-fields.ts'
import type { Limits } from '../limits.ts'
import type { Carrier } from '../wire.ts'
import { ClientConnection, type ConnectionOwner } from './connection.ts'
import type { Exchange } from './exchange.ts'

/** A connection ends this much before its server would end it: requests must not cross that. */
const KEEP_ALIVE_MARGIN_MS = 2000

export interface PoolOptions {
  /** Connections open or being opened at once. */
  readonly maxConnections: number
  /** How long an exchange waits for a connection. 0: for ever. */
  readonly queueTimeoutMs: number
  /** How long a connection idles whose server does not say how long it may, ... */
  readonly keepAliveMs: number
  /** ... and at most, whatever it says. */
  readonly keepAliveMaxMs: number
  readonly limits?: Limits | undefined
}

/** Told what becomes of a pool's connections. */
export interface PoolOwner {
  connect(): Promise<Carrier>
  onConnected(connection: ClientConnection): void
  onDisconnected(connection: ClientConnection, error: Error | undefined): void
  onConnectFailed(error: Error): void
  /** The way to another connection failed: whether somebody else has taken `exchange`. */
  passOn(exchange: Exchange): boolean
  /** Exchanges are taken at once again, after `submit` returned false. */
  onDrain(): void
  /** It has something to do, and had nothing. */
  onActive(): void
  /** It has nothing open and nothing to do. */
  onEmpty(): void
}

/**
 * Connections to one origin, kept alive and capped; exchanges that find none free wait their turn.
 *
 * The freshest connection is used first. An exchange whose reused connection breaks before any
 * answer goes on another when sending it twice does no harm.
 */
export class ConnectionPool implements ConnectionOwner, Watched {
  readonly known: KnownFields = new KnownFields()
  readonly #owner: PoolOwner
  readonly #options: PoolOptions
  readonly #clock: Clock
  readonly #connections = new Set<ClientConnection>()
  readonly #idle: ClientConnection[] = []
  readonly #queue: Exchange[] = []
  readonly #retried = new WeakSet<Exchange>()
  #connecting = 0
  #drainOwed = false
  #ended: Error | undefined
  readonly #whenEmpty: (() => void)[] = []

  constructor(owner: PoolOwner, clock: Clock, options: PoolOptions) {
    this.#owner = owner
    this.#clock = clock
    this.#options = options
  }

  /** Connections open now. */
  get size(): number {
    return this.#connections.size
  }

  /** Exchanges that wait for a connection. */
  get queued(): number {
    return this.#queue.length
  }

  /** Exchanges under way, and those that wait. */
  get load(): number {
    return this.#connections.size - this.#idle.length + this.#queue.length
  }

  get #empty(): boolean {
    return this.#connections.size + this.#connecting + this.#queue.length === 0
  }

  /** Another exchange would have to wait for one of those under way. */
  get #full(): boolean {
    return this.load >= this.#options.maxConnections
  }

  /**
   * Takes any number of exchanges.
   *
   * @returns false when the next would have to wait: `PoolOwner.onDrain` says when it would not
   */
  submit(exchange: Exchange): boolean {
    if (this.#ended !== undefined) {
      exchange.onFailure(this.#ended)
      return true
    }
    const connection = this.#queue.length === 0 ? this.#takeIdle() : undefined
    if (connection !== undefined) connection.start(exchange)
    else {
      this.#wait(exchange)
      this.#queue.push(exchange)
      this.#connect()
    }
    if (!this.#full) return true
    this.#drainOwed = true
    return false
  }

  /** Ends idle connections now and the others when what they carry has ended; resolves then. */
  async retire(): Promise<void> {
    const busy: Promise<void>[] = []
    for (const connection of [...this.#connections]) {
      connection.retired = true
      if (connection.exchange === undefined) connection.destroy()
      else busy.push(connection.closed)
    }
    await Promise.all(busy)
  }

  /** Resolves when all that was submitted has ended. Nothing may be submitted meanwhile. */
  async close(): Promise<void> {
    const ended = new Promise<void>((resolve) => this.#whenEmpty.push(resolve))
    for (const connection of [...this.#idle]) connection.destroy()
    this.#settle()
    await ended
  }

  /** Fails everything with `error`, now and later. */
  destroy(error: Error): void {
    this.#ended = error
    const waiting = this.#queue.splice(0)
    const running: Exchange[] = []
    for (const connection of [...this.#connections]) {
      if (connection.exchange !== undefined) running.push(connection.exchange)
      connection.abandon()
    }
    for (const exchange of [...running, ...waiting]) {
      if (!exchange.aborted) exchange.onFailure(error)
    }
    this.#settle()
  }

  sweep(now: number): void {
    for (const connection of [...this.#connections]) {
      const { exchange } = connection
      if (exchange === undefined) {
        if (connection.idleUntil <= now) connection.destroy()
      } else if (exchange.deadline <= now) exchange.onDeadline()
    }
    while (this.#queue.length > 0) {
      const first = this.#queue[0] as Exchange
      if (!first.aborted && first.deadline > now) break
      this.#queue.shift()
      if (!first.aborted) first.onDeadline()
    }
    this.#settle()
  }

  onFree(connection: ClientConnection): void {
    const exchange = this.#next()
    if (connection.retiring || this.#ended !== undefined) {
      if (exchange !== undefined) this.#queue.unshift(exchange)
      connection.destroy()
      this.#connect()
      return
    }
    if (exchange !== undefined) {
      connection.start(exchange)
      this.#settle()
      return
    }
    connection.idleUntil = this.#clock.after(this.#idleMs(connection))
    // An idle connection does not keep the process alive.
    connection.carrier.unref()
    this.#idle.push(connection)
    if (this.#whenEmpty.length > 0) connection.destroy()
    this.#settle()
  }

  onGone(connection: ClientConnection, error: Error | undefined): void {
    this.#connections.delete(connection)
    const at = this.#idle.indexOf(connection)
    if (at !== -1) this.#idle.splice(at, 1)
    this.#owner.onDisconnected(connection, error)
    this.#connect()
    this.#settle()
  }

  onBroken(
    connection: ClientConnection,
    exchange: Exchange,
    error: Error,
    answered: boolean
  ): void {
    const again =
      connection.served > 0 &&
      !answered &&
      exchange.replayable &&
      this.#ended === undefined &&
      !this.#retried.has(exchange)
    if (!again) {
      exchange.onFailure(error)
      return
    }
    this.#retried.add(exchange)
    this.#wait(exchange)
    this.#queue.unshift(exchange)
    this.#connect()
  }

  #wait(exchange: Exchange): void {
    if (this.#empty) {
      this.#clock.watch(this)
      this.#owner.onActive()
    }
    exchange.deadline = this.#clock.after(this.#options.queueTimeoutMs)
  }

  #takeIdle(): ClientConnection | undefined {
    for (;;) {
      const connection = this.#idle.pop()
      if (connection === undefined || !connection.retiring) return connection
      connection.destroy()
    }
  }

  #next(): Exchange | undefined {
    for (;;) {
      const exchange = this.#queue.shift()
      if (exchange === undefined || !exchange.aborted) return exchange
    }
  }

  #idleMs(connection: ClientConnection): number {
    const { keepAliveMs, keepAliveMaxMs } = this.#options
    const told = connection.keepAliveMs
    if (told < 0) return keepAliveMs
    return Math.max(1, Math.min(told - KEEP_ALIVE_MARGIN_MS, keepAliveMaxMs))
  }

  /** As many connections as exchanges wait for, up to the cap. */
  #connect(): void {
    const { maxConnections } = this.#options
    while (
      this.#connecting < this.#queue.length &&
      this.#connections.size + this.#connecting < maxConnections
    ) {
      this.#connecting++
      this.#owner.connect().then(this.#onConnected, this.#onConnectFailed)
    }
  }

  readonly #onConnected = (carrier: Carrier): void => {
    this.#connecting--
    if (this.#ended !== undefined || carrier.duplex.destroyed) {
      carrier.duplex.destroy()
      this.#connect()
      this.#settle()
      return
    }
    const connection = new ClientConnection(carrier, this, this.#options.limits)
    if (connection.gone) return
    this.#connections.add(connection)
    this.#owner.onConnected(connection)
    this.onFree(connection)
  }

  readonly #onConnectFailed = (error: Error): void => {
    this.#connecting--
    this.#owner.onConnectFailed(error)
    // One each: connections are opened one for each that waits.
    const exchange = this.#next()
    if (exchange !== undefined && !this.#owner.passOn(exchange)) exchange.onFailure(error)
    this.#connect()
    this.#settle()
  }

  readonly #tellDrain = (): void => {
    if (this.#full) this.#drainOwed = true
    else if (this.#ended === undefined) this.#owner.onDrain()
  }

  /** After anything ended. */
  #settle(): void {
    if (this.#drainOwed && !this.#full && this.#ended === undefined) {
      // Whose end made room is told of it first, and may take the room.
      this.#drainOwed = false
      queueMicrotask(this.#tellDrain)
    }
    if (!this.#empty) return
    this.#clock.unwatch(this)
    for (const resolve of this.#whenEmpty.splice(0)) resolve()
    this.#owner.onEmpty()
  }
}
