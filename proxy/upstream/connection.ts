import {
  type Headers,
  HttpParseError,
  type MessageHandler,
  type ResponseHead,
  ResponseReader
} from '../../adapter/http1/codec.ts'
import type { Lease } from '../../adapter/shmipc/index.ts'
import { describeError, type Failure } from '../failure.ts'
import { ResponseWriter } from '../headers/response-writer.ts'
import { Outgoing } from '../wire/outgoing.ts'
import type { Wire, WireOwner } from '../wire/wire.ts'
import type { Endpoint } from './endpoint.ts'

/** The request a connection is busy with. Called from within the connection's events. */
export interface ResponseTaker {
  /** The whole request has been handed to the connection, which may still have to send it. */
  readonly requestComplete: boolean
  responseHead(head: ResponseHead): void
  /** @param lease when `chunk` is a view of shared memory: it ends with this call unless held */
  responseBody(chunk: Buffer, lease: Lease | undefined): void
  /** Everything parsed from one piece of input has been told: write it out. */
  responseFlush(): void
  /** The response is complete. The connection still belongs to it: ask what it needs to know. */
  responseEnd(connection: UpstreamConnection, trailers: Headers): void
  /** The connection serves others now, or is gone: go on with what comes next. */
  responseSettled(): void
  /** After 101: the connection is the taker's alone, with the bytes read too far. */
  responseTunnel(connection: UpstreamConnection, rest: Buffer): void
  upstreamFailed(connection: UpstreamConnection, failure: Failure): void
  upstreamDrained(): void
  /** Something in the proxy itself is wrong. */
  internalError(error: unknown): void
}

/** One connection to an endpoint: it carries one request at a time, and is reused. */
export class UpstreamConnection implements MessageHandler<ResponseHead> {
  readonly wire: Wire
  readonly endpoint: Endpoint
  readonly out: Outgoing
  /** Of what clients are told that this connection answered. */
  readonly responses: ResponseWriter = new ResponseWriter()
  /** Requests answered so far; a connection that has served may be closed by the peer any time. */
  served = 0
  /** While idle: when it is closed, on the coarse clock. */
  idleUntil = 0
  /** How long it may idle, in milliseconds; less than configured when the peer asks for less. */
  idleLimitMs: number = Number.POSITIVE_INFINITY
  readonly #reader: ResponseReader
  #taker: ResponseTaker | undefined
  #responding = false
  #keepAlive = false
  #keepAliveValue = ''
  #tunnel = false
  #trailers: Headers | undefined
  /** Of the input being parsed. */
  #lease: Lease | undefined

  /** @param attach makes the wire, told who owns it */
  constructor(attach: (owner: WireOwner) => Wire, endpoint: Endpoint) {
    this.endpoint = endpoint
    this.#reader = new ResponseReader(this, undefined, endpoint.known)
    this.wire = attach({
      onBytes: (chunk, lease) => this.#onBytes(chunk, lease),
      onDrain: () => this.#taker?.upstreamDrained(),
      onEnd: () => this.#onEnd(),
      onClose: (error) => this.#onClose(error)
    })
    this.out = new Outgoing(this.wire)
  }

  /** A byte of the response to the current request has arrived. */
  get responding(): boolean {
    return this.#responding
  }

  /** @param upgrade the protocols the request offers to switch to */
  begin(taker: ResponseTaker, method: string, upgrade: string | undefined): void {
    this.#taker = taker
    this.#responding = false
    this.wire.leg?.begin()
    this.#reader.expect(method, { upgrade })
  }

  /** @param keepAlive the peer's Keep-Alive: idling longer than its `timeout` (seconds) is a race */
  limitIdle(keepAlive: string): void {
    if (keepAlive === this.#keepAliveValue) return
    this.#keepAliveValue = keepAlive
    const seconds = /(?:^|[,; ])timeout=(\d+)/i.exec(keepAlive)?.[1]
    this.idleLimitMs =
      seconds === undefined ? Number.POSITIVE_INFINITY : Number(seconds) * 1000 - 1000
  }

  /** The taker has lost interest; what the upstream still sends is not read. */
  abandon(): void {
    this.#taker = undefined
    this.destroy()
  }

  destroy(): void {
    this.wire.destroy()
    this.endpoint.removed(this)
  }

  /** The wire that was given to a tunnel is closed. */
  released(): void {
    this.endpoint.removed(this)
  }

  onHead(head: ResponseHead): void {
    this.#keepAlive = head.keepAlive
    this.#tunnel = head.framing.kind === 'tunnel'
    this.#taker?.responseHead(head)
  }

  onBody(chunk: Buffer): void {
    this.#taker?.responseBody(chunk, this.#lease)
  }

  onEnd(trailers: Headers): void {
    this.#trailers = trailers
  }

  #onBytes(chunk: Buffer, lease: Lease | undefined): void {
    this.#lease = lease
    try {
      this.#read(chunk)
    } finally {
      this.#lease = undefined
    }
  }

  #read(chunk: Buffer): void {
    const taker = this.#taker
    // Bytes nobody asked for would be read as the answer to the next request.
    if (taker === undefined) {
      this.destroy()
      return
    }
    this.#responding = true
    let read: number
    try {
      read = this.#reader.feed(chunk, 0)
    } catch (error) {
      this.#unreadable(error)
      return
    }
    if (this.#trailers !== undefined) this.#complete(this.#trailers, read === chunk.length)
    else if (this.#tunnel && this.#taker !== undefined) this.#handOver(chunk.subarray(read))
    else taker.responseFlush()
  }

  #complete(trailers: Headers, exact: boolean): void {
    const taker = this.#taker
    this.#trailers = undefined
    this.#taker = undefined
    this.served++
    // The taker may have left in the middle of this input.
    if (taker === undefined) {
      this.destroy()
      return
    }
    taker.responseEnd(this, trailers)
    this.wire.settle()
    // Behind what waits for a server that has answered without it the next request would wait too.
    const sent = taker.requestComplete && this.wire.backlog === 0
    this.endpoint.release(this, this.#keepAlive && exact && sent)
    taker.responseSettled()
  }

  #handOver(rest: Buffer): void {
    const taker = this.#taker as ResponseTaker
    this.#taker = undefined
    taker.responseTunnel(this, rest)
  }

  #onEnd(): void {
    if (this.#taker === undefined) {
      this.destroy()
      return
    }
    this.#keepAlive = false
    try {
      this.#reader.finish()
    } catch {
      this.#failed()
      return
    }
    if (this.#trailers !== undefined) this.#complete(this.#trailers, true)
    else this.#failed()
  }

  #onClose(error: Error | undefined): void {
    this.endpoint.removed(this)
    this.#failed(error)
  }

  #failed(error?: Error): void {
    const cause = error === undefined ? 'it closed the connection' : describeError(error)
    const when = this.#responding ? 'in the middle of the response' : 'before it answered'
    this.#fail({
      reason: 'upstream_reset',
      status: 502,
      message: `upstream ${this.endpoint.label} failed ${when}: ${cause}`
    })
  }

  #unreadable(error: unknown): void {
    if (!(error instanceof HttpParseError)) {
      const taker = this.#taker
      this.abandon()
      taker?.internalError(error)
      return
    }
    this.#fail({
      reason: 'upstream_malformed',
      status: 502,
      message: `upstream ${this.endpoint.label} sent no valid HTTP/1.1 response: ${error.message}`
    })
  }

  #fail(failure: Failure): void {
    const taker = this.#taker
    this.#taker = undefined
    this.destroy()
    taker?.upstreamFailed(this, failure)
  }
}
