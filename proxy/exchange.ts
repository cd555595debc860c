import {
  type Headers,
  originForm,
  type RequestHead,
  type ResponseHead
} from '../adapter/http1/index.ts'
import type { Lease } from '../adapter/shmipc/index.ts'
import { exchangeRecord } from './access-log/exchange-record.ts'
import { Attempts, type AttemptsOwner } from './attempts.ts'
import type { ProxyContext } from './context.ts'
import type { TransportLabel } from './counters.ts'
import type { Downstream } from './downstream.ts'
import { type Failure, failures } from './failure.ts'
import type { Forwarding } from './headers/request.ts'
import type { WrittenRequest } from './headers/request-writer.ts'
import type { RequestSeries } from './metrics/request-series.ts'
import { Reply } from './reply.ts'
import { Upload } from './upload.ts'
import type { Cluster } from './upstream/cluster.ts'
import type { ResponseTaker, UpstreamConnection } from './upstream/connection.ts'
import { worseLabel } from './wire/leg.ts'
import { tunnel } from './wire/tunnel.ts'

/**
 * One request and its response, from the parsed head until both have ended. At any time it waits
 * for a connection, or holds one, or has been answered.
 */
export class Exchange implements ResponseTaker, AttemptsOwner {
  readonly head: RequestHead
  readonly cluster: Cluster | undefined
  readonly reply: Reply
  /** Milliseconds, as performance.now() counts. */
  readonly startedAt: number = performance.now()
  readonly attempts: Attempts
  readonly upload: Upload
  failure: Failure | undefined
  /** How the request travelled; `undefined` until an upstream answered. */
  label: TransportLabel | undefined
  /** What the upstream is told; `undefined` when the request goes nowhere. */
  written: WrittenRequest | undefined
  /** From the start to the head of the response, milliseconds; known when it is logged. */
  headMs: number | undefined
  readonly #series: RequestSeries
  readonly #context: ProxyContext
  readonly #downstream: Downstream
  #connection: UpstreamConnection | undefined
  #tunnelled = false
  #accounted = false

  /** @param cluster where it goes; without one it can only be {@link fail}ed */
  constructor(
    context: ProxyContext,
    downstream: Downstream,
    head: RequestHead,
    cluster: Cluster | undefined,
    series: RequestSeries
  ) {
    this.#context = context
    this.#series = series
    this.#downstream = downstream
    this.head = head
    this.cluster = cluster
    this.reply = new Reply(head, downstream.out, downstream.forwarding.hop.via)
    this.attempts = new Attempts(this, head, cluster, context.counters)
    this.upload = new Upload(downstream, head, this.attempts.keptBytes)
    downstream.wire.leg?.begin()
    context.counters.total++
    context.counters.active++
    series.begun()
  }

  get forwarding(): Forwarding {
    return this.#downstream.forwarding
  }

  /** The whole request has come from the client. */
  get requestComplete(): boolean {
    return this.upload.complete
  }

  get requestSent(): boolean {
    return this.upload.complete
  }

  /** Answered, and nothing of the request still stands between this response and what follows. */
  get settled(): boolean {
    return this.reply.done && !this.#tunnelled && (this.upload.complete || this.reply.closes)
  }

  /** Request bytes read now could be passed on, or thrown away, at once. */
  get takesBody(): boolean {
    if (this.reply.done) return true
    return this.#connection !== undefined && !this.#connection.out.blocked
  }

  /** Sends the request to an endpoint; what is written leaves with {@link flush}. */
  begin(): void {
    const { head } = this
    const written = this.#downstream.writer.write(head, originForm(head.method, head.target))
    if (written === undefined) {
      this.fail(failures.loop())
      return
    }
    this.written = written
    this.attempts.begin()
  }

  /** Writes out what the last piece of the client's input led to. */
  flush(): void {
    this.#connection?.out.flush()
  }

  /** @param chunk valid during the call */
  requestBody(chunk: Buffer): void {
    if (this.reply.done) this.upload.discard(chunk)
    else this.upload.add(chunk, this.#connection)
  }

  requestEnd(trailers: Headers): void {
    this.upload.end(trailers, this.#connection)
  }

  attempt(connection: UpstreamConnection): void {
    this.#connection = connection
    connection.begin(this, this.head.method, this.head.upgrade)
    connection.out.text((this.written as WrittenRequest).text)
    this.upload.sendAll(connection.out)
  }

  attempted(): void {
    this.flush()
    this.#downstream.proceed()
  }

  upstreamFailed(connection: UpstreamConnection, failure: Failure): void {
    this.upload.endDirect()
    this.#connection = undefined
    this.attempts.lost(connection, failure)
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
    this.upload.forget()
    if (this.#context.accessLog !== undefined) this.headMs = performance.now() - this.startedAt
    if (this.#context.draining || this.#bodyIsWithheld()) this.reply.closes = true
    this.label = worseLabel(this.#downstream.wire.leg, connection.wire.leg)
    const shown = this.#context.transportHeader ? this.label : undefined
    connection.limitIdle(this.reply.head(head, shown, connection.responses))
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
    this.upload.endDirect()
    this.#connection = undefined
    this.#answered()
  }

  responseSettled(): void {
    this.#downstream.proceed()
  }

  responseTunnel(connection: UpstreamConnection, fromUpstream: Buffer): void {
    // RFC 9110 7.8: the protocol changes after the whole request, not within it.
    if (!this.upload.complete) {
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
      this.upload.sweep(now)
      return
    }
    const config = this.cluster?.config
    if (config === undefined) return
    this.attempts.sweep(now)
    if (this.reply.done) return
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
    if (this.#context.draining || this.upload.isLarge(this.#bodyIsWithheld()))
      this.reply.closes = true
    this.reply.fail(failure)
    this.#downstream.out.flush()
    this.#answered()
    this.#downstream.proceed()
  }

  #letGo(): void {
    this.upload.endDirect()
    this.attempts.cancel()
    this.#connection?.abandon()
    this.#connection = undefined
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
    return this.head.expectContinue && !this.reply.continued && !this.upload.complete
  }

  #label(): string {
    return this.attempts.endpoint?.label ?? 'upstream'
  }

  #answered(): void {
    if (this.#accounted) return
    this.#accounted = true
    const now = performance.now()
    this.upload.answered(now)
    const { counters, accessLog } = this.#context
    const { status, bytes } = this.reply
    const failed = this.failure !== undefined
    counters.active--
    counters.answered(status)
    if (this.label !== undefined) counters.transports[this.label]++
    this.#series.ended(status, failed, now - this.startedAt)
    this.#series.bytesReceived += this.upload.received
    this.#series.bytesSent += bytes
    if (accessLog?.takes(status, failed)) {
      accessLog.write(exchangeRecord(this, now - this.startedAt))
    }
  }
}
