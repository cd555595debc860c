import {
  type Headers,
  HttpParseError,
  type MessageHandler,
  type RequestHead,
  RequestReader,
  type Watched
} from '../adapter/http1/codec.ts'
import { LogOrigin } from './access-log/origin.ts'
import { ClientDeadlines } from './client-deadlines.ts'
import type { DownstreamOwner } from './downstream-owner.ts'
import { Exchange } from './exchange.ts'
import { type Failure, failures } from './failure.ts'
import type { Forwarding } from './headers/request.ts'
import { RequestWriter } from './headers/request-writer.ts'
import { refusal } from './reply.ts'
import { Outgoing } from './wire/outgoing.ts'
import type { Wire, WireOwner } from './wire/wire.ts'

const NOTHING = Buffer.alloc(0)

/**
 * One client connection. Requests are served one at a time, in the order they come; what a client
 * pipelines behind the current one waits unparsed, and the connection is not read meanwhile.
 */
export class Downstream implements MessageHandler<RequestHead>, Watched {
  readonly wire: Wire
  readonly out: Outgoing
  readonly forwarding: Forwarding
  readonly writer: RequestWriter
  readonly #owner: DownstreamOwner
  readonly #reader: RequestReader
  #exchange: Exchange | undefined
  /** Read, but not parsed yet. */
  #held: Buffer | undefined
  #parsing = false
  #paused = false
  /** Between two requests, with no byte of the next one. */
  #idle = false
  /** The client has sent a request before it had the response to the one before. */
  #pipelines = false
  /** The client has sent all it will ever send. */
  #ended = false
  /** The last response has been written; what still comes is thrown away. */
  #closing = false
  #detached = false
  readonly #deadlines: ClientDeadlines

  /** @param attach makes the wire, told who owns it */
  constructor(attach: (owner: WireOwner) => Wire, owner: DownstreamOwner) {
    this.#owner = owner
    this.#reader = new RequestReader(this, undefined, owner.known)
    owner.context.deadlines.watch(this)
    this.#deadlines = new ClientDeadlines(owner)
    this.wire = attach({
      onBytes: (chunk) => this.#onBytes(chunk),
      onDrain: () => this.#onDrain(),
      onEnd: () => this.#onEnd(),
      onClose: () => this.#onClose()
    })
    this.out = new Outgoing(this.wire)
    const { remoteAddress } = this.wire
    const { hop } = owner
    this.forwarding = {
      remoteAddress,
      trusted: owner.trusts(remoteAddress),
      hop,
      origin: new LogOrigin(hop.listener, remoteAddress)
    }
    this.writer = new RequestWriter(this.forwarding)
  }

  /** Of a tunnel without a byte, milliseconds; 0 is no limit. */
  get tunnelTimeoutMs(): number {
    return this.#owner.tunnelTimeoutMs
  }

  /** Every response closes its connection. */
  get draining(): boolean {
    return this.#owner.draining
  }

  get busy(): boolean {
    return this.#exchange !== undefined
  }

  onHead(received: RequestHead): void {
    const owner = this.#owner
    const head = owner.normalize(received)
    const found = owner.route(head)
    const failure = 'reason' in found ? found : undefined
    const destination = 'reason' in found ? undefined : found
    const series = owner.series(destination?.cluster)
    const exchange = new Exchange(owner.context, this, head, destination, series)
    this.#exchange = exchange
    if (failure === undefined) exchange.begin()
    else exchange.fail(failure)
  }

  onBody(chunk: Buffer): void {
    this.#exchange?.requestBody(chunk)
  }

  onEnd(trailers: Headers): void {
    this.#exchange?.requestEnd(trailers)
  }

  /** Bytes of the request's body still to come, when its length is known. */
  get missing(): number {
    return this.#reader.missing
  }

  /** So many of them were read straight to where they go. */
  passed(bytes: number): void {
    this.#deadlines.moved()
    this.#exchange?.upload.passed(bytes)
    this.#reader.passed(bytes)
    this.#recycle()
    this.#updateReading()
  }

  /** Something changed that this connection may have waited for. */
  proceed(): void {
    if (this.#parsing || this.#detached) return
    this.#recycle()
    const held = this.#held
    if (held !== undefined && this.#ready()) {
      this.#held = undefined
      this.#parse(held)
      return
    }
    if (this.#ended && this.#exchange === undefined && held === undefined) this.close()
    this.#updateReading()
  }

  /** Ends the connection behind what has been written. Idempotent. */
  close(): void {
    if (this.#closing || this.#detached) return
    this.#closing = true
    this.#held = undefined
    this.#deadlines.linger()
    this.out.flush()
    this.wire.end()
    this.#updateReading()
  }

  /**
   * Breaks the connection, so that the client cannot take what it has got for a whole response.
   *
   * @param delimited the client knows from the response itself that it is not whole
   */
  abort(delimited: boolean): void {
    // A reset would take with it what such a client has not read yet of earlier responses.
    if (delimited && this.#pipelines) this.close()
    else this.#break()
  }

  #break(): void {
    this.#closing = true
    this.wire.reset(new Error('the response was cut short'))
  }

  /** The proxy cannot wait for this connection any longer. */
  cutOff(): void {
    this.#exchange?.downstreamClosed(failures.drainDeadline())
    this.#break()
  }

  /** Gives the wire away; returns what was read of it behind the current request. */
  detach(): Buffer {
    this.#detached = true
    return this.#held ?? NOTHING
  }

  /** The wire that was given away is closed. */
  released(): void {
    this.#gone()
  }

  /** One more request is answered, if it comes soon; the response says that it is the last. */
  drain(): void {
    if (this.#exchange === undefined && this.#quiet) this.#deadlines.hasten()
  }

  sweep(now: number): void {
    if (this.#detached) return
    const exchange = this.#exchange
    if (this.#closing) {
      if (this.#deadlines.lingered(now, this.wire.backlog)) this.wire.destroy()
    } else if (exchange !== undefined) {
      exchange.sweep(now)
      this.#sweepBody(exchange, now)
    } else if (this.#held !== undefined) {
      // Its next request has come, and waits until it has taken more of the last response.
      const failure = this.#deadlines.overrun(now, this.wire.backlog, true, undefined)
      if (failure !== undefined) this.#stop(failure)
    } else if (this.#deadlines.passed(now)) {
      if (this.#quiet) this.close()
      else this.#stop(failures.headTooSlow(this.#owner.headTimeoutMs))
    }
  }

  #sweepBody(exchange: Exchange, now: number): void {
    const incomplete = !exchange.requestComplete
    const waiting = this.out.blocked || (incomplete && !this.#paused)
    const since = incomplete ? exchange.startedAt : undefined
    const failure = this.#deadlines.overrun(now, this.wire.backlog, waiting, since)
    if (failure !== undefined) this.#stop(failure)
  }

  /** No byte of a request has come that is not being served. */
  get #quiet(): boolean {
    return this.#idle || this.#reader.idle
  }

  #onBytes(chunk: Buffer): void {
    if (this.#closing) return
    this.#deadlines.moved()
    if (this.#held === undefined) this.#parse(chunk)
    else this.#held = Buffer.concat([this.#held, chunk])
  }

  #onEnd(): void {
    this.#ended = true
    if (this.#closing) return
    if (this.#exchange?.requestComplete === false) {
      this.wire.destroy()
    } else if (this.#exchange === undefined && !this.#reader.idle) {
      this.#stop(failures.truncated())
    } else {
      this.proceed()
    }
  }

  #onDrain(): void {
    this.#deadlines.moved()
    this.#exchange?.downstreamDrained()
    this.proceed()
  }

  #onClose(): void {
    this.#gone()
    this.#closing = true
    this.out.discard()
    this.#held = undefined
    this.#exchange?.downstreamClosed(failures.clientGone())
    this.#exchange = undefined
  }

  /** It is watched and counted no more. */
  #gone(): void {
    this.#owner.context.deadlines.unwatch(this)
    this.#owner.closed(this)
  }

  #parse(chunk: Buffer): void {
    this.#parsing = true
    try {
      this.#feed(chunk)
    } catch (error) {
      this.#parsing = false
      this.#unreadable(error)
      return
    }
    this.#parsing = false
    this.#exchange?.flush()
    this.out.flush()
    this.#updateReading()
  }

  #feed(chunk: Buffer): void {
    let at = 0
    while (at < chunk.length && !this.#closing) {
      if (!this.#ready()) {
        this.#pipelines = true
        this.#held = Buffer.from(chunk.subarray(at))
        return
      }
      if (this.#idle) {
        this.#idle = false
        this.#deadlines.expectHead()
      }
      at = this.#reader.feed(chunk, at)
      if (at < chunk.length) this.#pipelines = true
      this.#recycle()
    }
  }

  /** More input may be parsed: the current request's, or the next one when nothing is in its way. */
  #ready(): boolean {
    if (this.#closing) return false
    return this.#exchange === undefined ? !this.out.blocked : !this.#exchange.requestComplete
  }

  /** Makes way for the next request when the current one has ended. */
  #recycle(): void {
    const exchange = this.#exchange
    if (exchange === undefined || !exchange.settled) return
    this.#exchange = undefined
    if (exchange.reply.closes) {
      this.close()
      return
    }
    this.#reader.reset()
    this.#idle = true
    this.#deadlines.expectRequest()
  }

  #unreadable(error: unknown): void {
    if (error instanceof HttpParseError) {
      const { status, message } = error
      this.#stop({ reason: 'request_malformed', status, message })
      return
    }
    this.#owner.context.log.error({ err: error }, 'a request failed inside the proxy')
    this.#stop(failures.internal())
  }

  /** Nothing more can be read from this client: answers what can be answered, then closes. */
  #stop(failure: Failure): void {
    const exchange = this.#exchange
    if (exchange === undefined) {
      this.#owner.refused(this, failure)
      this.out.text(refusal(failure))
    } else if (!exchange.reply.done) {
      exchange.reply.closes = true
      exchange.fail(failure)
    }
    this.close()
  }

  #updateReading(): void {
    const paused = !this.#closing && !this.#readable()
    if (paused === this.#paused) return
    this.#paused = paused
    if (paused) this.wire.pause()
    else this.wire.resume()
  }

  #readable(): boolean {
    if (this.#held !== undefined) return false
    const exchange = this.#exchange
    if (exchange === undefined) return !this.out.blocked
    return exchange.requestComplete || exchange.takesBody
  }
}
