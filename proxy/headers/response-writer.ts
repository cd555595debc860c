import { type Framing, type ResponseHead, writeResponseHead } from '../../adapter/http1/codec.ts'
import type { TransportLabel } from '../counters.ts'
import { responseHeaders } from './response.ts'

/** How a response goes to its client. */
export interface ResponseTerms {
  readonly framing: Framing
  /** What our own `x-shmesh-transport` says; `undefined` leaves an inner proxy's. */
  readonly transport: TransportLabel | undefined
  /** Whether Via names this proxy. */
  readonly via: boolean
  /** The value of Connection; empty for none. */
  readonly connection: string
}

/**
 * Writes the heads of one upstream connection's responses. The last one is kept: a server sends the
 * same fields, down to the second, for many of them.
 */
export class ResponseWriter {
  /** What `#text` was written for. */
  #head: ResponseHead | undefined
  #terms: ResponseTerms | undefined
  #text = ''
  /** What the last response's Keep-Alive said of the upstream's connection; empty when nothing. */
  keepAlive = ''

  write(head: ResponseHead, terms: ResponseTerms): string {
    if (this.#knows(head, terms)) return this.#text
    const { headers, keepAlive } = responseHeaders(head, terms.framing, terms.transport, terms.via)
    if (terms.connection !== '') headers.push('Connection', terms.connection)
    this.#text = writeResponseHead(head.status, head.reason, headers)
    this.keepAlive = keepAlive
    this.#head = head
    this.#terms = terms
    return this.#text
  }

  /** The reader gives the same fields as the same array; a body's length follows from them. */
  #knows(head: ResponseHead, terms: ResponseTerms): boolean {
    const known = this.#head
    const before = this.#terms
    return (
      known?.headers === head.headers &&
      known.status === head.status &&
      known.reason === head.reason &&
      known.version === head.version &&
      before?.framing.kind === terms.framing.kind &&
      before.transport === terms.transport &&
      before.via === terms.via &&
      before.connection === terms.connection
    )
  }
}
