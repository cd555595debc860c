import {
  type Headers,
  originForm,
  type RequestHead,
  type ResponseHead,
  writeRequestHead
} from '../adapter/http1/index.ts'
import type { Lease } from '../adapter/shmipc/index.ts'
import { logAccess } from './access-log.ts'
import { Attempts } from './attempts.ts'
import type { ProxyContext } from './context.ts'
import type { TransportLabel } from './counters.ts'
import type { Downstream } from './downstream.ts'
import { type Failure, failures } from './failure.ts'
import { requestHeaders } from './headers.ts'
import { Reply } from './reply.ts'
import { RequestBody } from './request-body.ts'
import type { Cluster } from './upstream/cluster.ts'
import type { ResponseTaker, UpstreamConnection } from './upstream/connection.ts'
import type { Endpoint, Waiter } from './upstream/endpoint.ts'
import { ChannelWire } from './wire/channel-wire.ts'
import { DirectBody } from './wire/direct-body.ts'
import { worseLabel } from './wire/leg.ts'
import { SocketWire } from './wire/socket-wire.ts'
import { tunnel } from './wire/tunnel.ts'

/** How much of a request body is read and thrown away so that its connection can be kept. */
const MAX_DISCARDED_BYTES = 256 * 1024
const MAX_DISCARD_MS = 2000

/**
 * One request and its response, from the parsed head until both have ended. At any time it waits
 * for a connection, or holds one, or has been answered.
 */
export class Exchange implements ResponseTaker, Waiter {
  readonly head: RequestHead
  readonly cluster: Cluster | undefined
  readonly reply: Reply
  /** Milliseconds, as performance.now() counts. */
  readonly startedAt: number = performance.now()
  readonly attempts: Attempts
  failure: Failure | undefined
  /** How the request travelled; `undefined` until an upstream answered. */
  label: TransportLabel | undefined
  received = 0
  readonly #context: ProxyContext
  readonly #downstream: Downstream
  readonly #body: RequestBody
  #direct: DirectBody | undefined
  #requestText = ''
  #connection: UpstreamConnection | undefined
  #waitingAt: Endpoint | undefined
  #waitingUntil = 0
  #tunnelled = false
  #accounted = false
  #discarded = 0
  #discardUntil = 0

  /** @param cluster where it goes; without one it can only be {@link fail}ed */
  constructor(
    context: ProxyContext,
    downstream: Downstream,
    head: RequestHead,
    cluster: Cluster | undefined
  ) {
    this.#context = context
    this.#downstream = downstream
    this.head = head
    this.cluster = cluster
    this.reply = new Reply(head, downstream.out)
    this.attempts = new Attempts(head, cluster)
    this.#body = new RequestBody(head.framing.kind === 'chunked', this.attempts.keptBytes)
    downstream.wire.leg?.begin()
    context.counters.total++
    context.counters.active++
  }

  /** The whole request has come from the client. */
  get requestComplete(): boolean {
    return this.#body.complete
  }

  get requestSent(): boolean {
    return this.#body.complete
  }

  /** Answered, and nothing of the request still stands between this response and what follows. */
  get settled(): boolean {
    return this.reply.done && !this.#tunnelled && (this.#body.complete || this.reply.closes)
  }

  /** Request bytes read now could be passed on, or thrown away, at once. */
  get takesBody(): boolean {
    if (this.reply.done) return true
    return this.#connection !== undefined && !this.#connection.out.blocked
  }

  /** Sends the request to an endpoint; what is written leaves with {@link flush}. */
  begin(): void {
    const { head } = this
    const headers = requestHeaders(head, this.#downstream.forwarding)
    if (headers === undefined) {
      this.fail(failures.loop())
      return
    }
    this.#requestText = writeRequestHead(head.method, originForm(head.method, head.target), headers)
    this.#tryNext()
  }

  /** Writes out what the last piece of the client's input led to. */
  flush(): void {
    this.#connection?.out.flush()
  }

  /** @param chunk valid during the call */
  requestBody(chunk: Buffer): void {
    this.received += chunk.length
    if (!this.reply.done) {
      if (this.#goesDirect(chunk)) return
      this.#body.add(chunk, this.#connection?.out)
      return
    }
    this.#discarded += chunk.length
    if (this.#discarded > MAX_DISCARDED_BYTES) this.#downstream.close()
  }

  /** So much of the body went from the client's socket straight to the upstream. */
  requestPassed(bytes: number): void {
    this.received += bytes
  }

  requestEnd(trailers: Headers): void {
    this.#body.end(trailers, this.#connection?.out)
  }

  connected(connection: UpstreamConnection): void {
    this.#start(connection)
    connection.out.flush()
    this.#downstream.proceed()
  }

  connectFailed(endpoint: Endpoint, failure: Failure): void {
    this.#waitingAt = undefined
    this.attempts.failed(endpoint)
    if (this.attempts.mayRetryElsewhere(this.#body)) this.#retry()
    else this.fail(failure)
  }

  upstreamFailed(connection: UpstreamConnection, failure: Failure): void {
    this.#endDirect()
    this.#connection = undefined
    if (connection.served === 0) connection.endpoint.failed()
    this.attempts.failed(connection.endpoint)
    if (!connection.responding && this.attempts.mayRetry(this.#body)) this.#retry()
    else this.fail(failure)
  }

  upstreamDrained(): void {
    this.#downstream.proceed()
  }

  responseHead(head: ResponseHead): void {
    if (head.status < 200 && head.status !== 101) {
      this.reply.interim(head)
      return
    }
    const connection = this.#connection as UpstreamConnection
    connection.endpoint.succeeded()
    this.#body.forget()
    if (this.#context.draining || this.#bodyIsWithheld()) this.reply.closes = true
    this.label = worseLabel(this.#downstream.wire.leg, connection.wire.leg)
    const shown = this.#context.transportHeader ? this.label : undefined
    connection.limitIdle(this.reply.head(head, shown))
  }

  responseBody(chunk: Buffer, lease: Lease | undefined): void {
    this.reply.body(chunk, lease)
  }

  responseFlush(): void {
    if (this.#downstream.out.flush()) this.#connection?.wire.pause()
  }

  responseEnd(connection: UpstreamConnection, trailers: Headers): void {
    this.reply.end(trailers)
    this.#downstream.out.flush()
    this.label = worseLabel(this.#downstream.wire.leg, connection.wire.leg)
    this.#endDirect()
    this.#connection = undefined
    this.#answered()
  }

  responseSettled(): void {
    this.#downstream.proceed()
  }

  responseTunnel(connection: UpstreamConnection, fromUpstream: Buffer): void {
    // RFC 9110 7.8: the protocol changes after the whole request, not within it.
    if (!this.#body.complete) {
      connection.destroy()
      this.#abort(failures.earlySwitch(connection.endpoint.label))
      return
    }
    this.reply.done = true
    this.#tunnelled = true
    this.#connection = undefined
    this.#downstream.out.flush()
    const early = { fromDownstream: this.#downstream.detach(), fromUpstream }
    tunnel(this.#downstream.wire, connection.wire, early, () => {
      this.#downstream.released()
      connection.released()
      this.#answered()
    })
  }

  internalError(error: unknown): void {
    this.#context.log.error({ err: error }, 'a request failed inside the proxy')
    this.fail(failures.internal())
  }

  downstreamDrained(): void {
    this.#connection?.wire.resume()
  }

  /**
   * The client's connection is gone, and what was done for it stops.
   *
   * @param why counted unless the response was complete
   */
  downstreamClosed(why: Failure): void {
    if (this.#tunnelled) return
    this.#letGo()
    if (!this.reply.done) this.#count(why)
    this.reply.done = true
    this.#answered()
  }

  /** Ends what has taken too long. */
  sweep(now: number): void {
    if (this.reply.done) {
      if (!this.#body.complete && now > this.#discardUntil) this.#downstream.close()
      return
    }
    const config = this.cluster?.config
    if (config === undefined) return
    if (this.#waitingAt !== undefined && now > this.#waitingUntil) {
      this.fail(failures.overloaded(this.#waitingAt.label))
      return
    }
    const age = now - this.startedAt
    const { requestTimeoutMs, headTimeoutMs } = config
    if (requestTimeoutMs > 0 && age > requestTimeoutMs) {
      this.fail(failures.timeout(this.#label(), 'finish', requestTimeoutMs))
    } else if (headTimeoutMs > 0 && age > headTimeoutMs && !this.reply.started) {
      this.fail(failures.timeout(this.#label(), 'begin', headTimeoutMs))
    }
  }

  /**
   * Lets go of the upstream and answers in its place; when its response has begun, the client's
   * connection is aborted instead: a response cut short must never look complete.
   */
  fail(failure: Failure): void {
    this.#letGo()
    if (this.reply.started) {
      this.#abort(failure)
      return
    }
    this.#count(failure)
    if (this.#context.draining || this.#bodyIsLarge()) this.reply.closes = true
    this.reply.fail(failure)
    this.#downstream.out.flush()
    this.#answered()
    this.#downstream.proceed()
  }

  /** Reads the rest of the body, of which `chunk` is a part, straight into shared memory. */
  #goesDirect(chunk: Buffer): boolean {
    const downstream = this.#downstream
    const to = this.#connection?.wire
    if (!(to instanceof ChannelWire) || !(downstream.wire instanceof SocketWire)) return false
    if (this.#body.keeps || !downstream.wire.mayReadInto) return false
    this.flush()
    this.#direct = DirectBody.begin(downstream, downstream.wire, to, chunk)
    if (this.#direct === undefined) return false
    this.#body.passed()
    return true
  }

  #tryNext(): void {
    const endpoint = this.attempts.next()
    if (endpoint === undefined) {
      this.fail(failures.noEndpoint(this.head.host))
      return
    }
    const acquired = endpoint.acquire(this, this.attempts.failedBefore(endpoint))
    if (acquired === 'overloaded') {
      this.fail(failures.overloaded(endpoint.label))
    } else if (acquired === 'waiting') {
      this.#waitingAt = endpoint
      this.#waitingUntil = performance.now() + (this.cluster?.config.queueTimeoutMs ?? 0)
    } else {
      this.#start(acquired)
    }
  }

  #retry(): void {
    this.#context.counters.retries++
    this.#tryNext()
    this.flush()
    this.#downstream.proceed()
  }

  /** Writes what there is of the request, without flushing it. */
  #start(connection: UpstreamConnection): void {
    this.#waitingAt = undefined
    this.#connection = connection
    connection.begin(this, this.head.method, this.head.upgrade)
    connection.out.text(this.#requestText)
    this.#body.sendAll(connection.out)
    this.attempts.sent()
  }

  #letGo(): void {
    this.#endDirect()
    this.#waitingAt?.cancel(this)
    this.#waitingAt = undefined
    this.#connection?.abandon()
    this.#connection = undefined
  }

  /** After the upstream's connection has been given up: what was read for it goes nowhere. */
  #endDirect(): void {
    this.#direct?.end()
    this.#direct = undefined
  }

  #abort(failure: Failure): void {
    this.#count(failure)
    this.reply.done = true
    this.#answered()
    this.#downstream.abort()
  }

  #count(failure: Failure): void {
    this.failure = failure
    this.#context.counters.failed(failure.reason)
  }

  /** The client waits for 100 (Continue), has not got it, and may now never send the body. */
  #bodyIsWithheld(): boolean {
    return this.head.expectContinue && !this.reply.continued && !this.#body.complete
  }

  /** Reading the rest of the request would cost more than a new connection. */
  #bodyIsLarge(): boolean {
    if (this.#body.complete) return false
    const { framing } = this.head
    if (framing.kind !== 'length' || this.#bodyIsWithheld()) return true
    return framing.length - this.received > MAX_DISCARDED_BYTES
  }

  #label(): string {
    return this.attempts.endpoint?.label ?? 'upstream'
  }

  #answered(): void {
    if (this.#accounted) return
    this.#accounted = true
    this.#discardUntil = performance.now() + MAX_DISCARD_MS
    const { counters, accessLog } = this.#context
    counters.active--
    counters.answered(this.reply.status)
    if (this.label !== undefined) counters.transports[this.label]++
    if (accessLog !== undefined) logAccess(accessLog, this)
  }
}
