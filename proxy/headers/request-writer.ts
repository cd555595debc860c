import { beginRequestHead, type RequestHead, SharedFields } from '../../adapter/http1/codec.ts'
import type { Span } from '../tracing/span.ts'
import { ownFields } from './own-fields.ts'
import { type Forwarding, type SharedFields as Shared, sharedFields } from './request.ts'

/** The head of an upstream request, and how the request is called from here on. */
export interface WrittenRequest {
  readonly text: string
  readonly requestId: string
  /** `undefined` without tracing. */
  readonly span: Span | undefined
}

/**
 * Writes the upstream heads of one client's requests. What the last one had in common with any
 * other of the same fields is kept: a client seldom sends others.
 */
export class RequestWriter {
  readonly #from: Forwarding
  /** What `#shared` and `#lines` are about. */
  #known: RequestHead | undefined
  #authority = ''
  #shared: Shared | undefined
  #lines: SharedFields | undefined
  /** What `#start` begins with; it ends with `#lines`. */
  #method = ''
  #target = ''
  #start = ''

  constructor(from: Forwarding) {
    this.#from = from
  }

  /**
   * @param target as the upstream is to see it
   * @param authority likewise, as Host
   * @returns undefined when the request has passed through too many of us
   */
  write(head: RequestHead, target: string, authority: string): WrittenRequest | undefined {
    if (!this.#knows(head, authority)) this.#learn(head, authority)
    const shared = this.#shared
    if (shared === undefined) return undefined
    const { lines, requestId, span } = ownFields(shared, this.#from.hop.tracing)
    return { text: this.#begin(head.method, target) + lines, requestId, span }
  }

  /** Up to the fields no two requests have in common. */
  #begin(method: string, target: string): string {
    if (this.#start === '' || target !== this.#target || method !== this.#method) {
      this.#method = method
      this.#target = target
      this.#start = beginRequestHead(method, target, this.#lines as SharedFields)
    }
    return this.#start
  }

  /** The reader gives the same fields as the same array; framing and upgrade follow from them. */
  #knows({ headers, version, host }: RequestHead, authority: string): boolean {
    const known = this.#known
    const same = known?.headers === headers && known.version === version && known.host === host
    return same && this.#authority === authority
  }

  #learn(head: RequestHead, authority: string): void {
    const shared = sharedFields(head, this.#from, authority)
    this.#authority = authority
    this.#lines = shared && new SharedFields(shared.headers)
    this.#shared = shared
    this.#known = head
    this.#start = ''
  }
}
