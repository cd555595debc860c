import { errors } from 'undici'
import {
  fieldLine,
  hostLine,
  isToken,
  type RequestBody,
  requestLine,
  toRequestBody
} from '../http1/index.ts'
import { checkUnsent } from './body-memory.ts'
import { appendQuery } from './query.ts'
import { checkRequestOptions, type RequestOptions } from './request-options.ts'

/** Methods whose meaning includes a body: they say `content-length: 0` without one. */
const EXPECTS_BODY: ReadonlySet<string> = new Set([
  'PUT',
  'POST',
  'PATCH',
  'QUERY',
  'PROPFIND',
  'PROPPATCH'
])
/** Methods of which undici never checks a Content-Length that has no body. */
const BODY_UNEXPECTED: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'CONNECT'])

/**
 * A request, checked and ready to be sent: the rules are those of undici's HTTP/1.1 client. It is
 * also what subscribers of `undici:request:*` see, who may add headers when it is created.
 */
export class AgentRequest {
  readonly origin: string
  readonly method: string
  readonly path: string
  /** Flat: name, value. Without what frames and routes the request. */
  readonly headers: string[] = []
  readonly idempotent: boolean
  readonly upgrade: string | undefined
  readonly headersTimeout: number
  readonly bodyTimeout: number
  /** Of the Host field, when it is given. */
  host: string | null = null
  /** Of the Content-Length field, when it is given. */
  contentLength: number | null = null
  contentType: string | null = null
  /** The connection ends with this request. */
  reset: boolean
  /** ... when it turns out to have a body. */
  readonly resetByBody: boolean
  /** Its body waits until the server wants it. */
  readonly expectContinue: boolean
  /** The whole response has come. */
  completed = false
  /** It failed, or nobody wants it any more. */
  aborted = false
  /** @internal */
  readonly content: RequestBody
  /** As given. */
  readonly #body: unknown

  /** @throws {errors.InvalidArgumentError} of undici, before anything is sent */
  constructor(
    origin: string,
    options: RequestOptions,
    headersTimeout: number,
    bodyTimeout: number
  ) {
    checkRequestOptions(options)
    this.origin = origin
    this.method = options.method
    this.path = options.query ? appendQuery(options.path, options.query) : options.path
    this.#body = options.body
    this.idempotent = options.idempotent ?? (this.method === 'GET' || this.method === 'HEAD')
    this.upgrade = options.upgrade ? String(options.upgrade) : undefined
    this.headersTimeout = options.headersTimeout ?? headersTimeout
    this.bodyTimeout = options.bodyTimeout ?? bodyTimeout
    this.reset = options.reset === true
    checkUnsent(options.body)
    const content = toRequestBody(options.body)
    if (content === undefined) {
      throw new errors.InvalidArgumentError(
        'body must be a string, a Buffer, a Readable stream, an iterable, or an async iterable'
      )
    }
    this.content = content
    this.expectContinue =
      options.expectContinue === true && content.length !== 0 && this.upgrade === undefined
    this.#addHeaders(options.headers)
    // Servers may take such a body for the next request.
    this.resetByBody = !EXPECTS_BODY.has(this.method) && options.reset !== false
    if (this.resetByBody && content.length !== 0 && content.length !== undefined) this.reset = true
  }

  /** As given, but bytes where it is text or a view of bytes; null without a body. */
  get body(): unknown {
    const { content, source, length } = this.content
    if (length === 0 && source === undefined) return null
    return content === undefined
      ? this.#body
      : typeof content === 'string'
        ? Buffer.from(content)
        : content
  }

  /** Says that it has a body, even when that is empty. */
  get expectsBody(): boolean {
    return EXPECTS_BODY.has(this.method)
  }

  /** For subscribers of `undici:request:create`. */
  addHeader(name: string, value: string): this {
    this.#addHeader(name, value)
    return this
  }

  /** Its bytes, given as a whole, are where they were: another request may have sent them. */
  get hasBody(): boolean {
    const { content, length } = this.content
    return typeof content !== 'object' || content.length === length
  }

  /** How long the body is said to be; undefined when it is not known and not said. */
  get announcedLength(): number | undefined {
    return this.content.length ?? this.contentLength ?? undefined
  }

  /** The body is known to be longer or shorter than the headers say. */
  get hasWrongLength(): boolean {
    const { contentLength, method } = this
    const { length = 0 } = this.content
    if (contentLength === null || contentLength === length || length === 0) return false
    return !BODY_UNEXPECTED.has(method)
  }

  /**
   * The head up to its framing.
   *
   * @param hostOfOrigin the line for a request without a Host of its own
   * @throws {errors.InvalidArgumentError} of undici when anything in it could begin another line
   */
  head(hostOfOrigin: string): string {
    const { headers, host, upgrade, content } = this
    let part = ':path'
    try {
      let head = requestLine(this.method, this.path)
      part = 'host'
      head += host === null ? hostOfOrigin : hostLine(host)
      part = 'upgrade'
      if (upgrade !== undefined) head += `connection: upgrade\r\n${fieldLine('upgrade', upgrade)}`
      else head += this.reset ? 'connection: close\r\n' : 'connection: keep-alive\r\n'
      for (let i = 0; i < headers.length; i += 2) {
        part = headers[i] as string
        head += fieldLine(part, headers[i + 1] as string)
      }
      part = 'content-type'
      if (this.contentType === null && content.type !== undefined) {
        head += fieldLine(part, content.type)
      }
      return head
    } catch (error) {
      throw refused(part, error)
    }
  }

  #addHeaders(headers: unknown): void {
    if (headers === undefined || headers === null) return
    if (Array.isArray(headers)) {
      if (headers.length % 2 !== 0) {
        throw new errors.InvalidArgumentError('headers array must be even')
      }
      for (let i = 0; i < headers.length; i += 2) this.#addHeader(headers[i], headers[i + 1])
    } else if (typeof headers !== 'object') {
      throw new errors.InvalidArgumentError('headers must be an object or an array')
    } else if (hasOwnIterator(headers)) {
      for (const pair of headers) {
        if (!Array.isArray(pair) || pair.length !== 2) {
          throw new errors.InvalidArgumentError('headers must be in key-value pair format')
        }
        this.#addHeader(pair[0], pair[1])
      }
    } else {
      for (const name of Object.keys(headers)) {
        this.#addHeader(name, (headers as Record<string, unknown>)[name])
      }
    }
  }

  #addHeader(name: unknown, value: unknown): void {
    if (value === undefined) return
    if (typeof name !== 'string') throw new errors.InvalidArgumentError('invalid header key')
    if (Array.isArray(value)) {
      // Coerced once: what is checked is what is sent.
      const values = value.map((one) => toFieldValue(name, one))
      if (isSpecial(name)) throw new errors.InvalidArgumentError(`invalid ${name} header`)
      for (const one of values) this.headers.push(name, one)
      return
    }
    const text = toFieldValue(name, value)
    if (!isSpecial(name) || !this.#takeSpecial(name, text)) this.headers.push(name, text)
  }

  /** @returns whether it does not travel with the other fields */
  #takeSpecial(name: string, value: string): boolean {
    switch (name.toLowerCase()) {
      case 'host':
        if (this.host !== null) throw new errors.InvalidArgumentError('duplicate host header')
        this.host = value
        return true
      case 'content-length':
        if (this.contentLength !== null) {
          throw new errors.InvalidArgumentError('duplicate content-length header')
        }
        this.contentLength = toLength(value)
        return true
      case 'content-type':
        this.contentType ??= value
        return false
      case 'connection':
        for (const option of value.toLowerCase().split(',')) {
          const token = option.trim()
          if (!isToken(token)) throw new errors.InvalidArgumentError('invalid connection header')
          if (token === 'close') this.reset = true
        }
        return true
      case 'transfer-encoding':
      case 'keep-alive':
      case 'upgrade':
        throw new errors.InvalidArgumentError(`invalid ${name.toLowerCase()} header`)
      case 'expect':
        throw new errors.NotSupportedError('expect header not supported')
      default:
        return false
    }
  }
}

/** In the words of undici; `cause` says why. */
function refused(part: string, cause: unknown): Error {
  let message = `invalid ${part} header`
  if (part === ':path') message = 'invalid request path'
  else if (!isToken(part)) message = 'invalid header key'
  return Object.assign(new errors.InvalidArgumentError(message), { cause })
}

/** By length: most fields are told apart without a lower-case copy of their name. */
function isSpecial(name: string): boolean {
  switch (name.length) {
    case 4:
    case 6:
    case 7:
    case 10:
    case 12:
    case 14:
    case 17:
      return SPECIAL.has(name.toLowerCase())
    default:
      return false
  }
}

const SPECIAL: ReadonlySet<string> = new Set([
  'host',
  'expect',
  'upgrade',
  'connection',
  'keep-alive',
  'content-type',
  'content-length',
  'transfer-encoding'
])

/** Primitives become text, `null` becomes empty; an object could be another text when asked again. */
function toFieldValue(name: string, value: unknown): string {
  if (typeof value === 'string') return value
  if (value === null) return ''
  if (typeof value === 'object' || typeof value === 'function' || typeof value === 'symbol') {
    throw new errors.InvalidArgumentError(`invalid ${name} header`)
  }
  return `${value}`
}

/** `fetch` of undici 6 and 7 repeats a length the user set, too: identical repeats are one. */
function toLength(value: string): number {
  const [first = '', ...repeats] = value.split(', ')
  if (!/^\d{1,15}$/.test(first) || repeats.some((repeat) => repeat !== first)) {
    throw new errors.InvalidArgumentError('invalid content-length header')
  }
  return Number(first)
}

/** Not one that somebody put on `Object.prototype`. */
function hasOwnIterator(headers: object): headers is Iterable<unknown> {
  if (Object.hasOwn(headers, Symbol.iterator)) return true
  const prototype: unknown = Object.getPrototypeOf(headers)
  if (prototype === null || prototype === Object.prototype) return false
  return typeof (headers as Partial<Iterable<unknown>>)[Symbol.iterator] === 'function'
}
