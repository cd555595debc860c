import { AsyncResource } from 'node:async_hooks'
import type { Headers, RequestHead } from '../message.ts'
import type { Lease } from '../wire.ts'
import { abortedError } from './client-error.ts'
import { dispatch, publishFinish } from './dispatch.ts'
import { type RequestHost, WireRequest } from './request.ts'
import { type ResponseHost, WireResponse } from './response.ts'
import type { WireStream } from './wire-stream.ts'

/**
 * The request a connection serves and its response, and what the application's listeners are told of
 * them, in the request's async context. One of these serves all requests of a connection in turn.
 */
export class CurrentExchange {
  /** Being read, or answered. */
  request: WireRequest | undefined
  /** Undefined once it has finished. */
  response: WireResponse | undefined
  /** Bytes of the request's body that nobody read. */
  discarded = 0
  readonly #host: RequestHost & ResponseHost
  #requests = 0
  #closed = false
  /** By a listener. It must not break the reader: it is thrown on when the chunk has been read. */
  #thrown: { readonly error: unknown } | undefined

  constructor(host: RequestHost & ResponseHost) {
    this.#host = host
  }

  /** A request has been read in full that is not over. */
  get received(): boolean {
    return this.request?.complete === true
  }

  /** @param keepAlive whether another may follow on the connection */
  begin(head: RequestHead, keepAlive: boolean): void {
    const host = this.#host
    const scope = new AsyncResource('HTTPINCOMINGMESSAGE')
    const request = new WireRequest(host, head, scope)
    const response = new WireResponse(request, host)
    response.shouldKeepAlive = keepAlive
    this.discarded = 0
    this.request = request
    this.response = response
    setMessage(host.stream, response)
    const count = ++this.#requests
    try {
      scope.runInAsyncScope(dispatch, undefined, host.server, head, request, response, count)
    } catch (error) {
      this.#thrown ??= { error }
    }
  }

  /** @param lease of `chunk`, see `BodyTaker` */
  onBody(chunk: Buffer, lease: Lease | undefined): void {
    const { request } = this
    if (request === undefined) return
    if (request.discarding) {
      this.discarded += chunk.length
      return
    }
    try {
      request.scope.runInAsyncScope(request.onBody, request, chunk, lease)
    } catch (error) {
      this.#thrown ??= { error }
    }
  }

  onBodyEnd(trailers: Headers): void {
    const { request } = this
    if (request === undefined) return
    try {
      request.scope.runInAsyncScope(request.onBodyEnd, request, trailers)
    } catch (error) {
      this.#thrown ??= { error }
    }
  }

  /** Throws what a listener has thrown meanwhile. */
  rethrow(): void {
    if (this.#thrown === undefined) return
    const { error } = this.#thrown
    this.#thrown = undefined
    throw error
  }

  /** All of the response has left. */
  finish(request: WireRequest, response: WireResponse): void {
    const { server, stream } = this.#host
    publishFinish(server, request, response)
    this.response = undefined
    response.detach()
    setMessage(stream, null)
    try {
      response.emit('finish')
    } finally {
      if (response.listenerCount('close') > 0) process.nextTick(emitClose, response)
      else response.emitClose()
      if (this.#closed && !request.complete) request.abort(abortedError())
      else request.release()
    }
  }

  /** @returns true when it was over, and the next request may begin */
  settle(): boolean {
    if (!this.received || this.response !== undefined) return false
    this.request = undefined
    return true
  }

  /** Nothing has moved for long. @returns whether listeners keep the connection */
  onQuiet(): boolean {
    const { server, stream } = this.#host
    const { request, response } = this
    const kept = [
      request?.complete === false && request.emit('timeout', stream),
      response?.emit('timeout', stream) === true,
      server.emit('timeout', stream)
    ]
    return kept.includes(true)
  }

  /**
   * The connection is gone.
   *
   * @param left all that was written of a response that has ended is on its way
   */
  onClose(left: boolean): void {
    this.#closed = true
    const { request, response } = this
    if (request === undefined) return
    // `finish` is about to be called.
    if (response?.finished === true && left) return
    if (response === undefined && request.complete) return
    this.request = undefined
    this.response = undefined
    request.scope.runInAsyncScope(abort, undefined, request, response)
  }
}

/** As on the sockets of node:http, for code that looks there. */
function setMessage(stream: WireStream, response: WireResponse | null): void {
  const socket = stream as WireStream & { _httpMessage?: WireResponse | null }
  socket._httpMessage = response
}

// Not closures: one of each may run for every request.

function emitClose(response: WireResponse): void {
  response.emitClose()
}

function abort(request: WireRequest, response: WireResponse | undefined): void {
  request.abort(abortedError())
  response?.emitClose()
}
