import type { AsyncResource } from 'node:async_hooks'
import { IncomingMessage, type Server } from 'node:http'
import type { Socket } from 'node:net'
import { noteBuffers } from '../../scavenges.ts'
import { pushText, withSafeText } from '../../shared-text.ts'
import type { Headers, RequestHead } from '../message.ts'
import type { Lease } from '../wire.ts'
import { abortedError } from './client-error.ts'
import type { HeaderCombiner } from './combined-headers.ts'
import { detachSignal, internals, markClosed, state } from './request-internals.ts'
import { joinsDuplicates } from './server-options.ts'
import { isCollected } from './trusted-collectors.ts'
import { WholeBody } from './whole-body.ts'
import type { WireStream } from './wire-stream.ts'

/**
 * A larger chunk is handed on in pieces, as large as those of a socket: the allocator keeps memory of
 * this size, while larger blocks are fresh pages each time, which cost more than the copy.
 */
const MAX_COPY_BYTES = 64 * 1024

/** What a request needs of its connection. */
export interface RequestHost {
  readonly server: Server
  readonly stream: WireStream
  readonly headers: HeaderCombiner
  /** The body is wanted again, ... */
  resumeBody(): void
  /** ... or for now not. */
  pauseBody(): void
  setTimeout(ms: number): void
}

/**
 * Who takes a body as it arrives. A view may be read during the call and while its lease is held;
 * without a lease the chunk is the taker's for good.
 */
export interface BodyTaker {
  onBody(chunk: Buffer, lease: Lease | undefined): void
  /** Once: the whole body has come, or with an error it never will. */
  onBodyEnd(error: Error | undefined): void
}

/**
 * A request whose body comes straight from a wire. What user code reads is its own: a chunk is
 * copied once, or decoded where it lies when an encoding is set or a trusted collector reads.
 */
export class WireRequest extends IncomingMessage {
  /** The async context of everything this request causes. */
  readonly scope: AsyncResource
  /** @internal Its reader is full. */
  bodyPaused = false
  /** @internal What still comes of the body is wanted by nobody: the response is done. */
  discarding = false
  readonly #host: RequestHost
  /** Of a body whose length was announced. */
  readonly #bodyBytes: number | undefined
  /** See `RequestHead`. */
  readonly #beginning: Headers
  #taker: BodyTaker | undefined
  #whole: WholeBody | undefined
  /** Somebody reads, or did. */
  #consuming = false
  /** `_read` waits for a push: it is not called again before one. */
  #asked = false
  #received = false
  #aborting = false
  #combined: NodeJS.Dict<string | string[]> | undefined

  constructor(host: RequestHost, head: RequestHead, scope: AsyncResource) {
    super(host.stream as unknown as Socket)
    keepMethods(this)
    this.scope = scope
    this.#host = host
    this.#beginning = head.beginning
    this.#bodyBytes = head.framing.kind === 'length' ? head.framing.length : undefined
    this.method = head.method
    this.url = head.target
    this.httpVersionMajor = 1
    this.httpVersionMinor = head.version
    this.httpVersion = head.version === 1 ? '1.1' : '1.0'
    internals(this).joinDuplicateHeaders = joinsDuplicates(host.server)
    // A request that was read in full is not over: 'close' comes after the response, or when the
    // client goes away. In node:http a body that was read aborts `request.signal` of Fastify.
    state(this).autoDestroy = false
    // A copy: it becomes `rawHeaders`, which is the application's to change.
    internals(this)._addHeaderLines(head.headers.slice(), head.headers.length)
  }

  /**
   * Hands the rest of the body to `taker` instead of to the readable side, as views of the memory
   * it arrived in. What was read before must have been taken by `read()`.
   */
  lendTo(taker: BodyTaker): void {
    if (this.destroyed) {
      // Complete or not: what it had is gone with it.
      taker.onBodyEnd(this.errored ?? abortedError())
      return
    }
    this.#taker = taker
    // Nobody else will ask for its end.
    this.#consuming = false
    const whole = this.#whole
    if (whole !== undefined) {
      taker.onBody(whole.chunk, whole.lease)
      this.#endWhole()
    }
    if (this.complete) {
      this.#taker = undefined
      taker.onBodyEnd(undefined)
    } else this.#resume()
  }

  /** @internal */
  onBody(chunk: Buffer, lease: Lease | undefined): void {
    if (this.#taker !== undefined) {
      this.#taker.onBody(chunk, lease)
      return
    }
    if (this.destroyed) return
    if (lease !== undefined && this.#isWhole(chunk) && this.#keepWhole(chunk, lease)) return
    this.#received = true
    this.#asked = false
    if (lease === undefined ? this.push(chunk) : this.#pushShared(chunk)) return
    this.bodyPaused = true
    this.#host.pauseBody()
  }

  /** @internal */
  onBodyEnd(trailers: Headers): void {
    this.complete = true
    if (trailers.length > 0) internals(this)._addHeaderLines(trailers, trailers.length)
    const taker = this.#taker
    if (taker !== undefined) {
      this.#taker = undefined
      if (this.#asked) this.push(null)
      taker.onBodyEnd(undefined)
    } else if (this.discarding) this.#finish()
    else if (this.#whole?.lent === false) return
    // Nobody asked yet: `_read` tells them when they do.
    else if (this.#received || this.#consuming) this.push(null)
  }

  /** @internal The response is done. Drops what nobody reads; who does read goes on. */
  release(): void {
    detachSignal(this)
    if (this.destroyed) return
    if (this.readableEnded) {
      this.#finish()
      return
    }
    if (this.#taker !== undefined) return
    if (this.#consuming || this.#isListenedTo) {
      this.once('end', () => this.#finish())
      return
    }
    this.#endWhole()
    if (!this.complete) {
      this.discarding = true
      this.#resume()
      return
    }
    if (!this.#received && this.listenerCount('end') + this.listenerCount('close') === 0) {
      markClosed(this)
      return
    }
    this.once('end', () => this.#finish())
    // Before `_dump`: that of Node 26 does not wait for an end that comes when it is asked for.
    if (!state(this).ended) this.push(null)
    internals(this)._dump()
  }

  /** By whom `_read` is called in the next tick. */
  get #isListenedTo(): boolean {
    const { readableFlowing } = this
    if (readableFlowing !== false) return readableFlowing === true
    return this.listenerCount('data') + this.listenerCount('readable') > 0
  }

  /** @internal The client went away, or its bytes are not HTTP. */
  abort(error: Error): void {
    const taker = this.#taker
    this.#taker = undefined
    taker?.onBodyEnd(error)
    this.#aborting = true
    this.destroy(error)
  }

  /** All of the body, and worth not being copied. */
  #isWhole(chunk: Buffer): boolean {
    if (chunk.length !== this.#bodyBytes || chunk.length < MAX_COPY_BYTES) return false
    return this.readableLength === 0 && this.readableEncoding === null
  }

  /** @returns false when it must be copied */
  #keepWhole(chunk: Buffer, lease: Lease): boolean {
    // Nobody reads yet: who will is known when they ask.
    const early = this.readableFlowing === null && !this.#asked && lease.mayHold
    if (!early && !isCollected(this)) return false
    this.#whole = new WholeBody(chunk, lease)
    if (!early) this.#lend(this.#whole)
    return true
  }

  /** Straight to the collector: in the readable side's buffer others might come by it. */
  #lend(whole: WholeBody): void {
    whole.lent = true
    // What the collector makes of it.
    noteBuffers(whole.chunk.length)
    this.#received = true
    // Behind the collector's own listener, which has been there since it reads.
    this.once('end', () => this.#endWhole())
    state(this).dataEmitted = true
    this.emit('data', withSafeText(whole.chunk))
  }

  #deliverWhole(whole: WholeBody): void {
    if (this.#whole !== whole) return
    if (this.readableEncoding === null && isCollected(this)) this.#lend(whole)
    else {
      this.#received = true
      this.#pushShared(whole.chunk)
      this.#endWhole()
    }
    this.push(null)
  }

  #endWhole(): void {
    this.#whole?.end()
    this.#whole = undefined
  }

  /** Copies, or with an encoding set text. */
  #pushShared(chunk: Buffer): boolean {
    if (this.readableEncoding !== null) return pushText(this, chunk)
    noteBuffers(chunk.length)
    let room = true
    for (let at = 0; at < chunk.length && !this.destroyed; at += MAX_COPY_BYTES) {
      room = this.push(Buffer.from(chunk.subarray(at, at + MAX_COPY_BYTES)))
    }
    return room
  }

  override _read(): void {
    this.#consuming = true
    this.#asked = true
    const whole = this.#whole
    if (whole !== undefined) process.nextTick(() => this.#deliverWhole(whole))
    else if (this.complete) this.push(null)
    else this.#resume()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#endWhole()
    // Also when it was read: nobody waits for the response any more.
    if (!this.discarding && (this.#aborting || !this.readableEnded || !this.complete)) {
      this.aborted = true
      this.emit('aborted')
      // undici takes the socket away first: the response may still go out.
      const { socket } = this as { socket: Socket | null }
      if (socket !== null && !socket.destroyed) socket.destroy(error ?? undefined)
    }
    // Without a listener nobody meant to be told. Asked when the response, which is about to close,
    // has told its own listeners: they may be the same.
    process.nextTick(() => done(this.listenerCount('error') === 0 ? null : error))
  }

  override setTimeout(ms: number, callback?: () => void): this {
    if (callback !== undefined) this.on('timeout', callback)
    this.#host.setTimeout(ms)
    return this
  }

  #resume(): void {
    if (!this.bodyPaused) return
    this.bodyPaused = false
    this.#host.resumeBody()
  }

  #finish(): void {
    if (this.listenerCount('close') === 0) markClosed(this)
    else this.destroy()
  }

  // TypeScript refuses accessors for what node:http's types call a property.
  static {
    Object.defineProperty(WireRequest.prototype, 'headers', {
      configurable: true,
      enumerable: true,
      get(this: WireRequest) {
        this.#combined ??= this.#host.headers.combine(this.rawHeaders, this.#beginning)
        return this.#combined
      },
      set(this: WireRequest, headers: NodeJS.Dict<string | string[]>) {
        this.#combined = headers
      }
    })
  }
}

const own = WireRequest.prototype
// undici tells by it, and by nothing else, that a body it gives up is a request that is served.
Object.defineProperty(own, 'constructor', { value: IncomingMessage })

/**
 * Frameworks put a prototype of their own in the place of this one, as Express does with each
 * request it is given. What makes it ours must not be looked up there.
 */
function keepMethods(request: WireRequest): void {
  request._read = own._read
  request._destroy = own._destroy
  request.setTimeout = own.setTimeout
  request.lendTo = own.lendTo
  request.onBody = own.onBody
  request.onBodyEnd = own.onBodyEnd
  request.release = own.release
  request.abort = own.abort
}
