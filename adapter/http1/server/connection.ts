import { AsyncResource } from 'node:async_hooks'
import { METHODS, type Server } from 'node:http'
import { HttpParseError } from '../errors.ts'
import type { KnownFields } from '../known-fields.ts'
import type { Headers, RequestHead } from '../message.ts'
import { RequestReader } from '../request-reader.ts'
import type { Lease, WireOwner } from '../wire.ts'
import { answerTo, type ClientError, parseError } from './client-error.ts'
import { HeaderCombiner } from './combined-headers.ts'
import { CurrentExchange } from './current-exchange.ts'
import { Outgoing } from './outgoing.ts'
import { PendingInput } from './pending-input.ts'
import type { RequestHost } from './request.ts'
import type { ResponseHost, WireResponse } from './response.ts'
import { internals } from './response-internals.ts'
import { allowsHalfOpen, joinsDuplicates, limitsOf, rejectsBodies } from './server-options.ts'
import { isUpgrade, upgrade } from './upgrade.ts'
import type { WireStream } from './wire-stream.ts'

/** What the parser of node:http knows: an app is not asked for others. */
const KNOWN_METHODS: ReadonlySet<string> = new Set(METHODS)

/** Bytes of a body nobody reads that are dropped before the connection is closed instead. */
const MAX_DISCARDED_BYTES = 16 * 1024 * 1024

/** `body`: a request has begun that has not arrived in full. */
export type Phase = 'idle' | 'head' | 'body' | 'response'

export interface ConnectionOwner {
  readonly server: Server
  /** Of the requests of all its connections. */
  readonly known: KnownFields
  /** The server is closing: each response is the last of its connection. */
  readonly draining: boolean
  /** @internal The connection is somebody else's from here on. */
  onUpgrade(connection: HttpConnection): void
}

/**
 * One connection of a server, parsed and answered here instead of by node:http; requests and
 * responses are subclasses of its classes and go to the same listeners. One request at a time: what
 * a client pipelines waits, a chunk of it in private memory and the rest where it arrived.
 */
export class HttpConnection implements WireOwner, RequestHost, ResponseHost {
  readonly server: Server
  readonly stream: WireStream
  /** Requests answered and read in full. */
  served = 0
  /** What `setTimeout` of a request or response asked for; undefined: what the server does. */
  timeoutMs: number | undefined
  readonly headers: HeaderCombiner
  readonly output: Outgoing = new Outgoing()
  readonly #owner: ConnectionOwner
  readonly #reader: RequestReader
  /** Connections are served in no request's async context. */
  readonly #context = new AsyncResource('HTTPSERVERCONNECTION')
  /** The wire is ours: what comes can be read. */
  #started = false
  readonly #pending = new PendingInput()
  readonly #exchange = new CurrentExchange(this)
  /** Of the chunk that is being read. */
  #lease: Lease | undefined
  /** Asks for what is not HTTP. */
  #upgrade: RequestHead | undefined
  #upgraded = false
  #peerEnded = false
  /** Nothing more is read. */
  #failed = false
  #closing = false
  #closed = false
  /** The response has ended, and waits for the wire. */
  #flushing = false

  constructor(owner: ConnectionOwner, stream: WireStream) {
    this.#owner = owner
    this.server = owner.server
    this.stream = stream
    this.headers = new HeaderCombiner(joinsDuplicates(owner.server))
    const handler = {
      onHead: (head: RequestHead) => this.#onHead(head),
      onBody: (chunk: Buffer) => this.#onBody(chunk),
      onEnd: (trailers: Headers) => this.#exchange.onBodyEnd(trailers)
    }
    this.#reader = new RequestReader(handler, limitsOf(owner.server), owner.known)
  }

  start(): void {
    // Bytes that come during the call wait for what it returns.
    const wire = this.stream.takeOver(this)
    this.#started = true
    this.output.start(wire)
    Object.assign(this.stream, {
      setTimeout: (ms: number, action?: () => void) => this.#setSocketTimeout(ms, action)
    })
    this.#pending.start(wire)
    this.#proceed()
  }

  get phase(): Phase {
    const { request } = this.#exchange
    if (request !== undefined) return request.complete ? 'response' : 'body'
    return this.#reader.idle ? 'idle' : 'head'
  }

  get rejectsBodies(): boolean {
    return rejectsBodies(this.server)
  }

  setTimeout(ms: number): void {
    this.timeoutMs = ms
  }

  /** `request.socket.setTimeout`. */
  #setSocketTimeout(ms: number, action: (() => void) | undefined): WireStream {
    this.timeoutMs = ms
    if (action !== undefined) this.stream.once('timeout', action)
    return this.stream
  }

  /** Ends the connection when it is idle, else after the response under way; not within a head. */
  close(): void {
    const { response } = this.#exchange
    if (this.phase === 'idle' && this.#pending.empty) this.#closeSoon()
    else if (response !== undefined) response.shouldKeepAlive = false
  }

  /** Ends the connection when of a request only a part of its head has come. */
  closeWithinHead(): void {
    if (this.phase === 'head') this.#closeSoon()
  }

  /** A deadline has passed, or the bytes are not HTTP: whoever handles `clientError` answers. */
  fail(error: ClientError): void {
    if (this.#failed) return
    this.#failed = true
    const { stream } = this
    const { request, response } = this.#exchange
    if (request !== undefined && response === undefined) {
      // Answered already, before it was read.
      stream.destroy(error)
    } else if (!this.server.emit('clientError', error, stream)) {
      if (response?.headersSent !== true) this.output.write(answerTo(error), '', 'latin1', '')
      stream.destroy(error)
    }
  }

  /**
   * Nothing has moved for as long as `timeout` says. As in node:http listeners of request, response
   * or server keep the connection, those of the socket only hear of it.
   */
  onQuiet(): void {
    if (!this.#exchange.onQuiet()) this.stream.destroy()
    this.stream.emit('timeout')
  }

  onBytes(chunk: Buffer, lease: Lease | undefined): void {
    if (this.#failed || this.#closing) return
    if (!this.#started) this.#pending.keep(chunk, lease)
    else this.#context.runInAsyncScope(this.#read, this, chunk, lease)
    // The end of a body whose response had gone before: its reader, full by then, asks for no more.
    if (this.#started && this.#exchange.request === undefined && this.#pending.empty) {
      this.#pending.resume()
    }
  }

  onEnd(): void {
    this.#peerEnded = true
    if (this.#failed) return
    const { received, response } = this.#exchange
    if (received) {
      // For node:http a client that sends no more has gone: `request.signal` aborts. Behind a socket
      // it hears so in another turn, when handlers that wait for nothing have answered.
      if (!allowsHalfOpen(this.server)) setImmediate(abandon, this)
      // Its last request, unless others wait behind it.
      else if (response !== undefined && this.#pending.empty) response.shouldKeepAlive = false
      return
    }
    try {
      this.#reader.finish()
      this.#closeSoon()
    } catch (error) {
      this.#context.runInAsyncScope(this.fail, this, parseError(error as HttpParseError))
    }
  }

  onDrain(): void {
    if (this.output.length > 0) return
    this.output.onDrain()
    const { response } = this.#exchange
    if (response !== undefined) {
      const { scope } = response.req
      if (this.#flushing) scope.runInAsyncScope(process.nextTick, process, finish, this, response)
      else scope.runInAsyncScope(response.onDrain, response)
      this.#flushing = false
    }
  }

  onClose(error: Error | undefined): void {
    this.#closed = true
    this.#failed = true
    this.#pending.clear()
    this.output.onClose(error)
    if (!this.#upgraded) this.#exchange.onClose(!this.#flushing)
  }

  resumeBody(): void {
    if (!this.#closed) this.#pending.resume()
  }

  pauseBody(): void {
    this.#pending.pause()
  }

  onResponseEnd(response: WireResponse): void {
    if (this.output.length > 0) this.#flushing = true
    else process.nextTick(finish, this, response)
  }

  /** @internal The response has left. */
  onFinish(response: WireResponse): void {
    const exchange = this.#exchange
    const { request } = exchange
    if (exchange.response !== response || request === undefined) return
    const { _last: last } = internals(response)
    try {
      exchange.finish(request, response)
    } finally {
      if (last || this.#owner.draining) this.#closeSoon()
      this.#settle()
      if (exchange.request === undefined) this.#proceed()
    }
  }

  #read(chunk: Buffer, lease: Lease | undefined): void {
    this.#lease = lease
    let at = 0
    try {
      while (at < chunk.length && !this.#failed && !this.#closing) {
        if (this.#exchange.received) {
          this.#pending.keep(chunk.subarray(at), lease)
          break
        }
        at = this.#reader.feed(chunk, at)
        if (this.#upgrade !== undefined) {
          const behind = chunk.subarray(at)
          this.#upgraded = true
          this.#owner.onUpgrade(this)
          upgrade(this, this.#upgrade, lease === undefined ? behind : Buffer.from(behind))
          break
        }
        this.#settle()
      }
    } catch (error) {
      if (!(error instanceof HttpParseError)) throw error
      this.fail(parseError(error))
    } finally {
      this.#lease = undefined
    }
    this.#exchange.rethrow()
  }

  #onHead(head: RequestHead): void {
    if (!KNOWN_METHODS.has(head.method)) {
      throw new HttpParseError('HTTP_INVALID_METHOD', `node:http knows no method ${head.method}`)
    }
    if (isUpgrade(this.server, head)) {
      this.#upgrade = head
      return
    }
    this.#exchange.begin(head, head.keepAlive && !this.#owner.draining)
  }

  #onBody(chunk: Buffer): void {
    this.#exchange.onBody(chunk, this.#lease)
    if (this.#exchange.discarded > MAX_DISCARDED_BYTES) this.#closeSoon()
  }

  /** The exchange is over when the request was read and the response has left. */
  #settle(): void {
    if (!this.#exchange.settle()) return
    this.served++
    this.#pending.settle()
    this.#reader.reset()
  }

  /** Reads on behind a request. */
  #proceed(): void {
    const rest = this.#pending.take()
    if (rest !== undefined) this.#context.runInAsyncScope(this.#read, this, rest, undefined)
    if (!this.#pending.empty || this.#closed || this.#exchange.received) return
    // The rest of a request that came in part behind another: its own reader may still be full.
    if (this.#pending.paused && this.#exchange.request?.bodyPaused !== true) {
      this.#context.runInAsyncScope(this.#pending.resume, this.#pending)
    }
    if (this.#peerEnded && !this.#exchange.received) this.onEnd()
  }

  /** @internal The client has gone. What has been answered still arrives, the rest is aborted. */
  onAbandoned(): void {
    if (!this.#exchange.received || this.#closed) return
    this.#pending.clear()
    const { response } = this.#exchange
    if (response?.finished === true) internals(response)._last = true
    else this.#closeSoon()
  }

  #closeSoon(): void {
    if (this.#closing || this.#closed) return
    this.#closing = true
    this.#pending.clear()
    // Nothing waits to leave: a response that does has not finished.
    this.output.end()
  }
}

// Not closures: one of them runs for every request.

function finish(connection: HttpConnection, response: WireResponse): void {
  connection.onFinish(response)
}

function abandon(connection: HttpConnection): void {
  connection.onAbandoned()
}
