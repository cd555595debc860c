import {
  type Headers,
  originForm,
  type RequestHead,
  type ResponseHead
} from '../adapter/http1/codec.ts'
import type { Lease } from '../adapter/shmipc/index.ts'
import { countBegun, countEnded } from './accounting.ts'
import { Attempts, type AttemptsOwner } from './attempts.ts'
import type { ProxyContext } from './context.ts'
import type { TransportLabel } from './counters.ts'
import type { Destination, DirectAnswer } from './destination.ts'
import type { Downstream } from './downstream.ts'
import { type Failure, failures } from './failure.ts'
import { offeredProtocols } from './headers/hop-by-hop.ts'
import type { Forwarding } from './headers/request.ts'
import type { WrittenRequest } from './headers/request-writer.ts'
import type { RequestSeries } from './metrics/request-series.ts'
import { failureAnswer, Reply } from './reply.ts'
import { overrun } from './time-limits.ts'
import { Upload } from './upload.ts'
import type { ResponseTaker, UpstreamConnection } from './upstream/connection.ts'
import { worseLabel } from './wire/leg.ts'
import { tunnel } from './wire/tunnel.ts'

/**
 * One request and its response, from the parsed head until both have ended. At any time it waits
 * for a connection, or holds one, or has been answered.
 */
export class Exchange implements ResponseTaker, AttemptsOwner {
  readonly head: RequestHead
  readonly destination: Destination | undefined
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
  /** When a byte last moved to or from the upstream, on the coarse clock. */
  #progressAt = 0
  #tunnelled = false
  #accounted = false

  /** @param destination what becomes of it; without one it can only be {@link fail}ed */
  constructor(
    context: ProxyContext,
    downstream: Downstream,
    head: RequestHead,
    destination: Destination | undefined,
    series: RequestSeries
  ) {
    this.#context = context
    this.#series = series
    this.#downstream = downstream
    this.head = head
    this.destination = destination
    this.reply = new Reply(head, downstream.out, downstream.forwarding.hop.via)
    this.attempts = new Attempts(this, head, destination, context.counters)
    this.upload = new Upload(downstream, head, this.attempts.keptBytes)
    downstream.wire.leg?.begin()
    countBegun(context, series)
  }

  get forwarding(): Forwarding {
    return this.#downstream.forwarding
  }

  /** The whole request has come from the client, and gone to a connection if there is one. */
  get requestComplete(): boolean {
    return this.upload.complete
  }

  /** Answered, and nothing of the request still stands between this response and what follows. */
  get settled(): boolean {
    return this.reply.done && !this.#tunnelled && (this.upload.complete || this.reply.closes)
  }

  /** Request bytes read now could be passed on, or thrown away, at once. */
  get takesBody(): boolean {
    if (this.reply.done) return true
    if (this.#connection === undefined || this.upload.waits) return false
    return !this.#connection.out.blocked
  }

  /** Sends the request to an endpoint, or answers it; {@link flush} sends what is written. */
  begin(): void {
    const { head } = this
    const { answer, host, rewrite } = this.destination as Destination
    if (answer !== undefined) {
      this.#answer(answer(head))
      return
    }
    const target = originForm(head.method, head.target)
    const sent = rewrite === undefined ? target : rewrite(target)
    const written = this.#downstream.writer.write(head, sent, host ?? head.host)
    if (written === undefined) {
      this.fail(failures.loop())
      return
    }
    this.written = written
    this.attempts.begin()
  }

  /** Writes out what the last piece of the client's input led to. */
  flush(): void {
    if (!this.upload.waits) this.#connection?.out.flush()
  }

  /** @param chunk valid during the call */
  requestBody(chunk: Buffer): void {
    this.#progressAt = this.#context.deadlines.now
    if (this.reply.done) this.upload.discard(chunk)
    else this.upload.add(chunk, this.#connection)
  }

  requestEnd(trailers: Headers): void {
    this.#progressAt = this.#context.deadlines.now
    this.upload.end(trailers, this.#connection)
  }

  attempt(connection: UpstreamConnection): void {
    this.#connection = connection
    this.#progressAt = this.#context.deadlines.now
    connection.begin(this, this.head.method, offeredProtocols(this.head))
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
    this.#progressAt = this.#context.deadlines.now
    this.#downstream.proceed()
  }

  responseHead(head: ResponseHead): void {
    this.#progressAt = this.#context.deadlines.now
    if (head.status < 200 && head.status !== 101) {
      this.reply.interim(head)
      return
    }
    const connection = this.#connection as UpstreamConnection
    if (this.attempts.rejects(connection.endpoint, head.status)) {
      this.#dropConnection()
      this.attempts.retryRejected(connection.endpoint)
      return
    }
    this.upload.forget()
    if (this.#context.accessLog !== undefined) this.headMs = performance.now() - this.startedAt
    const rest = this.#bodyIsWithheld() || this.upload.isRefusedBy(head)
    if (rest || this.#downstream.draining) this.reply.closes = true
    this.label = worseLabel(this.#downstream.wire.leg, connection.wire.leg)
    const shown = this.#context.transportHeader ? this.label : undefined
    connection.limitIdle(this.reply.head(head, shown, connection.responses))
  }

  responseBody(chunk: Buffer, lease: Lease | undefined): void {
    this.#progressAt = this.#context.deadlines.now
    this.reply.body(chunk, lease)
  }

  responseFlush(): void {
    if (this.#downstream.out.flushSoon()) this.#connection?.wire.pause()
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
    this.attempts.end()
    this.#downstream.proceed()
  }

  responseTunnel(connection: UpstreamConnection, fromUpstream: Buffer): void {
    // RFC 9110 7.8: the protocol changes after the whole request, not within it.
    if (!this.upload.complete) {
      connection.destroy()
      this.attempts.end()
      this.#abort(failures.earlySwitch(connection.endpoint.label))
      return
    }
    this.reply.done = true
    this.#tunnelled = true
    this.#connection = undefined
    this.#downstream.out.flush()
    const early = { fromDownstream: this.#downstream.detach(), fromUpstream }
    const idle = { deadlines: this.#context.deadlines, limitMs: this.#downstream.tunnelTimeoutMs }
    tunnel(this.#downstream.wire, connection.wire, early, idle, (timedOut) => {
      if (timedOut) this.#count(failures.tunnelIdle(idle.limitMs))
      this.#downstream.released()
      connection.released()
      this.attempts.end()
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
    const limits = this.destination?.limits
    if (limits === undefined) return
    this.attempts.sweep(now)
    if (this.reply.done) return
    if (!this.#waitsForUpstream()) this.#progressAt = now
    const { started } = this.reply
    const age = { age: now - this.startedAt, started, stalled: now - this.#progressAt }
    const failure = overrun(limits, age, this.attempts.endpoint?.label ?? 'upstream')
    if (failure !== undefined) {
      this.fail(failure)
    } else if (this.#connection !== undefined && !started && this.attempts.isOverdue(now)) {
      const { endpoint } = this.#connection
      this.#dropConnection()
      this.attempts.timedOut(endpoint)
    }
  }

  /** It has a connection, and neither the client's sending nor its reading is what takes time. */
  #waitsForUpstream(): boolean {
    const connection = this.#connection
    if (connection === undefined || this.#downstream.out.blocked) return false
    return this.upload.complete || connection.out.blocked
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
    this.#answer(failureAnswer(failure))
  }

  /** Answers in the upstream's place. */
  #answer(answer: DirectAnswer): void {
    if (this.#downstream.draining || this.upload.isLarge(this.#bodyIsWithheld())) {
      this.reply.closes = true
    }
    this.reply.answer(answer)
    this.#downstream.out.flush()
    this.#answered()
    this.#downstream.proceed()
  }

  #letGo(): void {
    this.#dropConnection()
    this.attempts.end()
  }

  #dropConnection(): void {
    this.upload.endDirect()
    this.#connection?.abandon()
    this.#connection = undefined
  }

  #abort(failure: Failure): void {
    this.#count(failure)
    this.reply.done = true
    this.#answered()
    this.#downstream.abort(this.reply.delimited)
  }

  #count(failure: Failure): void {
    this.failure = failure
    this.#context.counters.failed(failure.reason)
  }

  /** The client waits for 100 (Continue), has not got it, and may now never send the body. */
  #bodyIsWithheld(): boolean {
    return this.head.expectContinue && !this.reply.continued && !this.upload.complete
  }

  #answered(): void {
    if (this.#accounted) return
    this.#accounted = true
    const now = performance.now()
    this.upload.answered(now)
    countEnded(this.#context, this.#series, this, now)
  }
}
