import { ServerResponse } from 'node:http'
import { InvalidArgumentError } from '../../errors.ts'
import { isFieldValue, isToken } from '../characters.ts'
import { abortedError } from './client-error.ts'
import type { Outgoing } from './outgoing.ts'
import type { WireRequest } from './request.ts'
import { bodyOf, internals, lengthOf } from './response-internals.ts'
import type { WireStream } from './wire-stream.ts'

type Callback = (error?: Error | null) => void

/** What a response needs of its connection. */
export interface ResponseHost {
  readonly stream: WireStream
  readonly output: Outgoing
  readonly rejectsBodies: boolean
  /** `end` was called: everything is written. */
  onResponseEnd(response: WireResponse): void
  setTimeout(ms: number): void
}

/** What `Outgoing.write` is given, and who is told when it has left. */
interface Piece {
  readonly before: string
  readonly body: Buffer | string
  readonly encoding: BufferEncoding
  readonly after: string
  readonly callback: Callback | undefined
}

/**
 * A response written to a wire. Status line, fields and framing are those of node:http, by its own
 * code; head and body leave together, without a copy in between.
 */
export class WireResponse extends ServerResponse<WireRequest> {
  /** Undefined once the response is over. */
  #host: ResponseHost | undefined
  readonly #output: Outgoing
  #needDrain = false
  /**
   * Head and first chunk of a response that goes on. They leave at the end of the turn, as in
   * node:http: when it breaks before, the client sees no response instead of half of one.
   */
  #first: Piece | undefined
  /** Bytes of the body so far, for `strictContentLength`. */
  #bodyBytes = 0

  constructor(request: WireRequest, host: ResponseHost) {
    super(request)
    keepMethods(this)
    this.#host = host
    this.#output = host.output
    internals(this).socket = host.stream
  }

  // biome-ignore lint/suspicious/noExplicitAny: as in the types of node:http
  override write(chunk: any, encoding?: BufferEncoding | Callback, callback?: Callback): boolean {
    if (typeof encoding === 'function') return this.write(chunk, undefined, encoding)
    const host = this.#host
    const body = bodyOf(chunk)
    // Errors, and bodies that may not be: what node:http makes of them.
    if (host === undefined || body === undefined || this.finished || this.destroyed) {
      return this.#writeUnsent(chunk, encoding, callback)
    }
    const message = internals(this)
    if (!message._header) message._implicitHeader()
    if (!message._hasBody) return this.#writeUnsent(chunk, encoding, callback)
    if (this.strictContentLength) this.#countStrictly(lengthOf(body, encoding), false)
    this.#flushFirst()
    const head = this.#unsentHeader()
    let before = head
    let after = ''
    if (message.chunkedEncoding && body.length > 0) {
      before += `${lengthOf(body, encoding).toString(16)}\r\n`
      after = '\r\n'
    }
    const piece = { before, body, encoding: encoding ?? 'utf8', after, callback }
    if (head === '') return this.#sendPiece(host, piece)
    this.#first = piece
    process.nextTick(endTurn, this)
    const room = body.length < host.stream.writableHighWaterMark
    if (!room) this.#needDrain = true
    return room
  }

  // biome-ignore lint/suspicious/noExplicitAny: as in the types of node:http
  override end(chunk?: any, encoding?: BufferEncoding | (() => void), callback?: () => void): this {
    if (typeof chunk === 'function') return this.end(undefined, undefined, chunk)
    if (typeof encoding === 'function') return this.end(chunk, undefined, encoding)
    const host = this.#host
    const message = internals(this)
    const body = chunk ? bodyOf(chunk) : ''
    if (host === undefined || body === undefined || this.finished || this.destroyed) {
      super.end(chunk, encoding as BufferEncoding, callback)
      this.#output.discard(body)
      return this
    }
    if (!message._header) {
      message._contentLength = lengthOf(body, encoding)
      message._implicitHeader()
    }
    const hasBody = message._hasBody
    if (!hasBody && chunk && host.rejectsBodies) {
      return super.end(chunk, encoding as BufferEncoding, callback)
    }
    if (this.strictContentLength) this.#countStrictly(lengthOf(body, encoding), true)
    if (typeof callback === 'function') this.once('finish', callback)
    this.#flushFirst()
    let before = this.#unsentHeader()
    let after = ''
    if (hasBody && message.chunkedEncoding) {
      after = `0\r\n${message._trailer}\r\n`
      if (body.length > 0) {
        before += `${lengthOf(body, encoding).toString(16)}\r\n`
        after = `\r\n${after}`
      }
    }
    this.finished = true
    host.output.write(before, hasBody ? body : undefined, encoding ?? 'utf8', after)
    if (!hasBody) host.output.discard(body)
    message._finish()
    host.onResponseEnd(this)
    return this
  }

  /** As node:http's, which does not look at what it sends. */
  override writeEarlyHints(hints: Record<string, string | string[]>, callback?: () => void): void {
    for (const [name, value] of Object.entries(hints)) {
      if (!isToken(name)) throw new InvalidArgumentError('hints', 'names of fields', name)
      for (const text of [value].flat()) {
        if (!isFieldValue(String(text))) {
          throw new InvalidArgumentError(name, 'text without control characters', text)
        }
      }
    }
    super.writeEarlyHints(hints, callback)
  }

  override setTimeout(ms: number, callback?: () => void): this {
    if (callback !== undefined) this.on('timeout', callback)
    this.#host?.setTimeout(ms)
    return this
  }

  /** What `flushHeaders` and the interim responses of node:http come to. */
  _send(
    data: string | Buffer,
    encoding?: BufferEncoding | null,
    callback?: Callback | null
  ): boolean {
    return this.#sendRaw(this.#unsentHeader(), data, encoding, callback)
  }

  _writeRaw(
    data: string | Buffer,
    encoding?: BufferEncoding | null,
    callback?: Callback | null
  ): boolean {
    return this.#sendRaw('', data, encoding, callback)
  }

  /** @internal All that was written has left. */
  onDrain(): void {
    if (!this.#needDrain || this.finished) return
    this.#needDrain = false
    this.emit('drain')
  }

  /** @internal The connection has no more to do with it. */
  detach(): void {
    this.#host = undefined
    internals(this).socket = null
  }

  /** @internal */
  emitClose(): void {
    const message = internals(this)
    if (message._closed) return
    this.#host = undefined
    this.destroyed = true
    message._closed = true
    this.emit('close')
  }

  #sendRaw(
    before: string,
    data: string | Buffer,
    encoding: BufferEncoding | null | undefined,
    callback: Callback | null | undefined
  ): boolean {
    const host = this.#host
    if (host === undefined || host.stream.destroyed) return false
    this.#flushFirst()
    const room = host.output.write(before, data, encoding ?? 'utf8', '')
    if (typeof callback === 'function') host.output.afterDrain(callback)
    return room
  }

  /** What node:http makes of a chunk that does not leave. */
  #writeUnsent(
    chunk: unknown,
    encoding: BufferEncoding | undefined,
    callback: Callback | undefined
  ): boolean {
    const room = super.write(chunk, encoding as BufferEncoding, callback as Callback)
    this.#output.discard(bodyOf(chunk))
    return room
  }

  #flushFirst(): void {
    const first = this.#first
    if (first === undefined) return
    this.#first = undefined
    const host = this.#host
    if (host !== undefined && !host.stream.destroyed) {
      this.#sendPiece(host, first)
      return
    }
    this.#output.discard(first.body)
    first.callback?.(abortedError())
  }

  /** @internal The turn in which the first chunk was written is over. */
  onTurnEnd(): void {
    this.#flushFirst()
    if (this.#host?.output.length === 0) this.onDrain()
  }

  #sendPiece(host: ResponseHost, { before, body, encoding, after, callback }: Piece): boolean {
    const room = host.output.write(before, body, encoding, after)
    if (typeof callback === 'function') host.output.afterDrain(callback)
    if (!room) this.#needDrain = true
    return room
  }

  #unsentHeader(): string {
    const message = internals(this)
    if (message._headerSent || message._header === null) return ''
    message._headerSent = true
    return message._header
  }

  #countStrictly(bytes: number, last: boolean): void {
    const { _contentLength: length, _hasBody, chunkedEncoding } = internals(this)
    const sum = this.#bodyBytes + bytes
    if (length !== null && _hasBody && !chunkedEncoding && (last ? sum !== length : sum > length)) {
      throw Object.assign(
        new Error(
          `Response body's content-length of ${sum} byte(s) does not match the content-length of ${length} byte(s) set in header`
        ),
        { code: 'ERR_HTTP_CONTENT_LENGTH_MISMATCH' }
      )
    }
    this.#bodyBytes = sum
  }

  // TypeScript refuses accessors for what node:http's types call properties.
  static {
    Object.defineProperties(WireResponse.prototype, {
      writableNeedDrain: {
        configurable: true,
        get(this: WireResponse) {
          return !this.destroyed && !this.finished && this.#needDrain
        }
      },
      writableLength: {
        configurable: true,
        get(this: WireResponse) {
          return (this.#host?.output.length ?? 0) + (this.#first?.body.length ?? 0)
        }
      },
      writableFinished: {
        configurable: true,
        get(this: WireResponse) {
          return this.finished && (this.#host?.output.length ?? 0) === 0
        }
      }
    })
  }
}

const own = WireResponse.prototype

/** As that of {@link WireRequest}: Express has a prototype of its own for responses, too. */
function keepMethods(response: WireResponse): void {
  response.write = own.write
  response.end = own.end
  response.writeEarlyHints = own.writeEarlyHints
  response.setTimeout = own.setTimeout
  response._send = own._send
  response._writeRaw = own._writeRaw
  response.onDrain = own.onDrain
  response.onTurnEnd = own.onTurnEnd
  response.detach = own.detach
  response.emitClose = own.emitClose
}

// Not a closure: it runs for every response that is streamed.
function endTurn(response: WireResponse): void {
  response.onTurnEnd()
}
