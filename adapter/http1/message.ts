/**
 * Raw fields, flat: name, value, name, value. Case and order as received; never keyed objects. Those
 * of a head may belong to the heads after it too: copy them before changing them.
 */
export type Headers = string[]

/** How the end of a message's body is known (RFC 9112 6.3). */
export type Framing =
  | { readonly kind: 'none' }
  /** Exactly `length` bytes follow; 0 is possible. */
  | { readonly kind: 'length'; readonly length: number }
  | { readonly kind: 'chunked' }
  /** Responses only: the body ends when the connection does. */
  | { readonly kind: 'close' }
  /** After 101, or 2xx to CONNECT: what follows is not HTTP and is left to the caller. */
  | { readonly kind: 'tunnel' }

export interface RequestHead {
  readonly method: string
  /** As received: origin-form, absolute-form, `*` or authority-form. See `originForm`. */
  readonly target: string
  /** The minor version: HTTP/1.0 or HTTP/1.1. */
  readonly version: 0 | 1
  readonly headers: Headers
  /** What `headers` begin with: the same array for each head of a connection that begins so. */
  readonly beginning: Headers
  readonly framing: Framing
  /** The client wants the connection to live on (RFC 9112 9.3). */
  readonly keepAlive: boolean
  /** The protocols offered, when Connection lists `upgrade`; never set for HTTP/1.0. */
  readonly upgrade?: string | undefined
  /** The client waits for 100 (Continue) before it sends the body. */
  readonly expectContinue: boolean
  /** The client expects something else, which this package does not know. */
  readonly expectation?: string | undefined
  /**
   * The authority asked for: of the target in absolute-form and authority-form, else of Host.
   * Empty for HTTP/1.0 without Host, or when Host is empty. A message sent on must carry this one.
   */
  readonly host: string
}

export interface ResponseHead {
  /** 100 to 999. */
  readonly status: number
  readonly reason: string
  readonly version: 0 | 1
  readonly headers: Headers
  readonly framing: Framing
  /** The connection can carry another request once this response has ended. */
  readonly keepAlive: boolean
  /** The protocol switched to or required, when Connection lists `upgrade`. */
  readonly upgrade?: string | undefined
}

/**
 * Told synchronously, from within `feed` and `finish`. An exception thrown here leaves through
 * them, and the reader is unusable afterwards.
 */
export interface MessageHandler<H> {
  onHead(head: H): void
  /** A view of the bytes given to `feed`, never a copy; transfer coding already removed. */
  onBody(chunk: Buffer): void
  /** Trailers are empty unless the body was chunked. Not called for a tunnel or an interim head. */
  onEnd(trailers: Headers): void
}

export const NONE: Framing = Object.freeze({ kind: 'none' })
export const CHUNKED: Framing = Object.freeze({ kind: 'chunked' })
export const CLOSE: Framing = Object.freeze({ kind: 'close' })
export const TUNNEL: Framing = Object.freeze({ kind: 'tunnel' })
