import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { type buildConnector, errors } from 'undici'
import {
  type Carrier,
  type ClientConnection,
  type Clock,
  ConnectionPool,
  type Exchange,
  hostLine,
  type PoolOptions,
  type PoolOwner
} from '../http1/index.ts'
import { carrierOf } from './carrier.ts'
import { channels } from './diagnostics.ts'
import type { ExchangeContext } from './exchange-context.ts'
import { translateBreak } from './translate-error.ts'
import type { Way } from './way.ts'

/** What an origin tells its agent. */
export interface OriginOwner {
  /** The event's further arguments: the origin, the chain of dispatchers, perhaps an error. */
  emitOf(event: string, origin: URL, error?: Error): void
  /** As an emitter's 'error': without a listener it is thrown. */
  emitError(error: unknown): void
  /** A connection was opened by the socket at `path`. */
  onConnected(path: string): void
  /** Whether another socket would take what cannot go by `path`. */
  canPassOn(path: string): boolean
  /** None could be opened by `path`: whether `exchange`, which waited for it, goes elsewhere. */
  passOn(exchange: Exchange, path: string): boolean
  /** It has something to do, ... */
  remember(origin: Origin): void
  /** ... or nothing open and nothing to do. */
  forget(origin: Origin): void
}

export interface OriginOptions extends PoolOptions {
  readonly headersTimeout: number
  readonly bodyTimeout: number
  readonly strictContentLength: boolean
  readonly maxResponseSize: number
  readonly maxRequestsPerClient: number
}

/** One origin of an agent: the way there, and the connections kept. */
export class Origin implements PoolOwner, ExchangeContext {
  readonly url: URL
  readonly origin: string
  readonly hostLine: string
  readonly pool: ConnectionPool
  readonly clock: Clock
  readonly headersTimeout: number
  readonly bodyTimeout: number
  readonly connectTimeout: number
  readonly maxRequestsPerClient: number
  readonly maxResponseSize: number
  readonly strictContentLength: boolean
  readonly way: Way
  readonly #owner: OriginOwner
  /** Of a 'disconnect' that is to be told. */
  #disconnected: Error | undefined

  constructor(url: URL, way: Way, owner: OriginOwner, clock: Clock, options: OriginOptions) {
    this.url = url
    this.origin = url.origin
    this.hostLine = hostLine(url.host)
    this.way = way
    this.clock = clock
    this.headersTimeout = options.headersTimeout
    this.bodyTimeout = options.bodyTimeout
    this.connectTimeout = options.queueTimeoutMs
    this.maxRequestsPerClient = options.maxRequestsPerClient
    this.maxResponseSize = options.maxResponseSize
    this.strictContentLength = options.strictContentLength
    this.#owner = owner
    this.pool = new ConnectionPool(this, clock, options)
  }

  readonly onHandlerFailed = (error: unknown): void => this.#owner.emitError(error)

  async connect(): Promise<Carrier> {
    const connectParams = this.#connectParams()
    const connector = this.#connector
    if (channels.beforeConnect.hasSubscribers) {
      channels.beforeConnect.publish({ connectParams, connector })
    }
    try {
      const carrier = carrierOf(await this.#connect())
      this.#owner.onConnected(this.way.path)
      if (channels.connected.hasSubscribers) {
        channels.connected.publish({ connectParams, connector, socket: carrier.duplex })
      }
      return carrier
    } catch (error) {
      if (channels.connectError.hasSubscribers) {
        channels.connectError.publish({ connectParams, connector, error })
      }
      throw error
    }
  }

  onConnected(): void {
    this.tellDisconnected()
    if (this.pool.size === 1) this.#owner.emitOf('connect', this.url)
  }

  onDisconnected(_connection: ClientConnection, error: Error | undefined): void {
    if (this.pool.size > 0) return
    this.#disconnected =
      error === undefined ? new errors.InformationalError('reset') : translateBreak(error)
    // Behind the end of the exchange it carried, as a socket's 'close'.
    setImmediate(() => this.tellDisconnected())
  }

  /** Now, if it is to be told. */
  tellDisconnected(): void {
    const disconnected = this.#disconnected
    if (disconnected === undefined) return
    this.#disconnected = undefined
    this.#owner.emitOf('disconnect', this.url, disconnected)
  }

  onConnectFailed(error: Error): void {
    this.#owner.emitOf('connectionError', this.url, error)
  }

  passOn(exchange: Exchange): boolean {
    return this.#owner.passOn(exchange, this.way.path)
  }

  onDrain(): void {
    this.#owner.emitOf('drain', this.url)
  }

  onActive(): void {
    this.#owner.remember(this)
  }

  onEmpty(): void {
    this.#owner.forget(this)
  }

  #connect(): Promise<Duplex> {
    return this.way.connect(this.url, this.#owner)
  }

  /** As undici's connectors are called. */
  readonly #connector = (_params: unknown, callback: buildConnector.Callback): void => {
    this.#connect().then(
      (stream) => callback(null, stream as Socket),
      (error) => callback(error, null)
    )
  }

  #connectParams(): object {
    const { host, hostname, protocol, port } = this.url
    return { host, hostname, protocol, port, version: 'h1', servername: null, localAddress: null }
  }
}
