import type { Duplex } from 'node:stream'
import { errors } from 'undici'
import type {
  BodyLengthError,
  BodyObserver,
  ClientConnection,
  Exchange,
  Headers,
  Lease,
  ResponseHead
} from '../http1/index.ts'
import { BodyGoneError } from './body-memory.ts'
import { Delivery, type DeliveryOwner } from './delivery.ts'
import {
  channels,
  publishBodyChunkSent,
  publishHeaders,
  publishSendHeaders,
  publishTrailers
} from './diagnostics.ts'
import type { ExchangeContext } from './exchange-context.ts'
import { checkMethods, type Handler } from './handlers.ts'
import type { Listener, Steering } from './listener.ts'
import { PhaseLimit } from './phase-limit.ts'
import { AgentRequest } from './request.ts'
import type { RequestOptions } from './request-options.ts'
import { Sending } from './sending.ts'
import { toListener } from './to-listener.ts'
import { translateBreak, translateError } from './translate-error.ts'
import { likeSocketOfUndici } from './tunnel.ts'

/** Where a request stands. */
const QUEUED = 0
const SENT = 1
const BODY = 2

/**
 * One request of a dispatcher and its handler, from `dispatch` to its end. The handler hears
 * nothing more after an abort or an error, and what it throws aborts its request.
 */
export class AgentExchange
  extends AgentRequest
  implements Exchange, BodyObserver, Steering, DeliveryOwner
{
  readonly #context: ExchangeContext
  readonly #listener: Listener
  readonly #delivery: Delivery
  readonly #limit: PhaseLimit
  readonly #head: string
  #state = QUEUED
  #connection: ClientConnection | undefined
  #sending: Sending | undefined
  #requestSent = false

  /** @throws {errors.InvalidArgumentError} of undici, before anything is sent */
  constructor(context: ExchangeContext, options: RequestOptions, handler: Handler) {
    super(context.origin, options, context.headersTimeout, context.bodyTimeout)
    this.#context = context
    this.#listener = toListener(handler, this)
    this.#delivery = new Delivery(this, this.#listener, handler)
    this.#limit = new PhaseLimit(context.clock, this.onDeadline)
    if (channels.create.hasSubscribers) channels.create.publish({ request: this })
    if (context.strictContentLength && this.hasWrongLength) {
      throw new errors.RequestContentLengthMismatchError()
    }
    this.#head = this.head(context.hostLine)
    checkMethods(handler, this.upgrade !== undefined || this.method === 'CONNECT')
  }

  get deadline(): number {
    return this.#limit.deadline
  }

  set deadline(deadline: number) {
    this.#limit.deadline = deadline
  }

  get replayable(): boolean {
    return this.idempotent && this.content.source === undefined && this.hasBody
  }

  /** @returns false when it has to wait for others */
  begin(): boolean {
    this.#tell('start')
    if (this.aborted) return true
    return this.#context.pool.submit(this)
  }

  abort(reason?: Error): void {
    this.#fail(reason ?? new errors.RequestAbortedError())
  }

  get paused(): boolean {
    return this.#delivery.paused
  }

  pause(): void {
    if (this.paused) return
    this.#delivery.paused = true
    this.#limit.stop()
    this.#connection?.pause()
  }

  resume(): void {
    if (!this.paused) return
    this.#delivery.resume()
    if (this.paused || this.#connection === undefined) return
    this.#arm(this.bodyTimeout)
    this.#connection.resume()
  }

  onConnection(connection: ClientConnection): void {
    this.#connection = connection
    this.#state = SENT
    if (!this.hasBody) {
      this.#fail(new BodyGoneError())
      return
    }
    const { maxRequestsPerClient } = this.#context
    if (this.reset || connection.served + 1 === maxRequestsPerClient) connection.retired = true
    publishSendHeaders(this, this.#head, connection.carrier.duplex)
    this.#arm(this.headersTimeout)
    if (this.hasWrongLength) process.emitWarning(new errors.RequestContentLengthMismatchError())
    // It may have waited on a connection that broke.
    this.#sending?.stop()
    this.#sending = new Sending(connection, this, this, this.#head)
  }

  onBodyPart(chunk: string | Uint8Array): void {
    if (this.resetByBody && this.#connection !== undefined) this.#connection.retired = true
    publishBodyChunkSent(this, chunk)
    if (this.#state === SENT) this.#arm(this.headersTimeout)
    try {
      this.#listener.bodySent(chunk)
    } catch (error) {
      this.#fail(error as Error)
    }
  }

  onRequestSent(): void {
    this.#requestSent = true
    if (this.aborted) return
    if (channels.bodySent.hasSubscribers) channels.bodySent.publish({ request: this })
    if (this.#state === SENT) this.#arm(this.headersTimeout)
    this.#tell('requestSent')
  }

  onBodyFailed(error: Error): void {
    this.#fail(translateError(error))
  }

  onWrongLength(error: BodyLengthError): void {
    if (this.#context.strictContentLength) throw error
    process.emitWarning(translateError(error))
  }

  onHead(head: ResponseHead): void {
    const { status, headers, reason } = head
    if (status === 100 && this.expectContinue) {
      this.#sending?.proceed()
      return
    }
    if (this.#state === SENT) this.#tell('responseStarted')
    if (this.aborted) return
    if (status === 100) {
      this.#fail(new errors.SocketError('bad response'))
      return
    }
    const final = status >= 200
    if (final) {
      this.#state = BODY
      this.#sending?.stop()
      this.#arm(this.bodyTimeout)
      if (head.framing.kind === 'length') this.#delivery.length = head.framing.length
    }
    publishHeaders(this, head)
    try {
      if (!this.#listener.head(status, headers, reason) && final) this.pause()
    } catch (error) {
      this.#fail(error as Error)
    }
  }

  onBody(chunk: Buffer, lease: Lease | undefined): void {
    const delivery = this.#delivery
    const { maxResponseSize } = this.#context
    delivery.received += chunk.length
    if (maxResponseSize >= 0 && delivery.received > maxResponseSize) {
      const message = `a response must not be longer than ${maxResponseSize} bytes`
      this.#failLater(new errors.ResponseExceededMaxSizeError(message))
      return
    }
    delivery.add(chunk, lease)
  }

  onEnd(trailers: Headers): void {
    this.#connection = undefined
    this.#delivery.end(trailers)
  }

  onDelivery(): void {
    this.#arm(this.bodyTimeout)
  }

  onDelivered(trailers: Headers): void {
    this.completed = true
    this.#limit.stop()
    // Answered early: nobody wants the rest.
    if (!this.#requestSent) this.content.source?.destroy()
    publishTrailers(this, trailers)
    try {
      this.#listener.end(trailers)
    } catch (error) {
      this.completed = false
      this.#fail(error as Error)
    }
  }

  onListenerFailed(error: Error): void {
    this.#fail(error)
  }

  onTunnel(head: ResponseHead, duplex: Duplex): void {
    this.#connection = undefined
    this.#sending?.stop()
    this.#limit.stop()
    publishHeaders(this, head)
    this.completed = true
    likeSocketOfUndici(duplex)
    try {
      this.#listener.upgrade(head.status, head.headers, duplex)
    } catch (error) {
      // Whoever listens to it learns why, and nobody has to.
      duplex.on('error', () => undefined)
      duplex.destroy(error as Error)
      this.completed = false
      this.#fail(error as Error)
      return
    }
    publishTrailers(this, [])
  }

  onDrain(): void {
    this.#sending?.onDrain()
  }

  onFailure(error: Error): void {
    this.#connection = undefined
    const reason = translateBreak(error)
    if (this.#state !== BODY) {
      this.#fail(reason)
      return
    }
    this.#failLater(reason)
  }

  readonly onDeadline = (): void => {
    if (this.#state === QUEUED) {
      const { origin, connectTimeout } = this.#context
      this.#fail(
        new errors.ConnectTimeoutError(
          `no connection to ${origin} was free or could be opened within ${connectTimeout} ms`
        )
      )
    } else if (this.#state === BODY) {
      this.#fail(new errors.BodyTimeoutError())
    } else if (!this.#requestSent && this.#connection?.writableLength === 0) {
      // It is not the server that is slow: the body has not come yet.
      this.#arm(this.headersTimeout)
    } else {
      this.#fail(new errors.HeadersTimeoutError())
    }
  }

  #fail(error: Error): void {
    if (this.completed || this.aborted) return
    this.aborted = true
    this.#sending?.stop()
    this.#limit.stop()
    this.#delivery.drop()
    const connection = this.#connection
    this.#connection = undefined
    connection?.abandon()
    if (channels.error.hasSubscribers) channels.error.publish({ request: this, error })
    try {
      this.#listener.error(error)
    } catch (thrown) {
      // Not of this request, which is over, and not of whoever delivers.
      process.nextTick(this.#context.onHandlerFailed, thrown)
    }
    this.content.source?.destroy(error)
  }

  /** Whoever was told of the head in this turn must be able to listen first. */
  #failLater(error: Error): void {
    this.#limit.stop()
    const connection = this.#connection
    this.#connection = undefined
    connection?.abandon()
    setImmediate(() => this.#fail(error))
  }

  #tell(event: 'start' | 'requestSent' | 'responseStarted'): void {
    try {
      this.#listener[event]()
    } catch (error) {
      this.#fail(error as Error)
    }
  }

  #arm(ms: number): void {
    if (!this.aborted) this.#limit.start(ms)
  }
}
