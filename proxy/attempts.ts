import type { RequestHead } from '../adapter/http1/index.ts'
import type { RequestBody } from './request-body.ts'
import type { Cluster } from './upstream/cluster.ts'
import type { Endpoint } from './upstream/endpoint.ts'

/** What may be sent twice without doing it twice (RFC 9110 9.2.2). */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS', 'TRACE'])

/** The endpoints one request has been sent to, and whether it may be sent once more. */
export class Attempts {
  count = 0
  /** The endpoint asked last. */
  endpoint: Endpoint | undefined
  readonly #cluster: Cluster | undefined
  readonly #authority: string
  readonly #idempotent: boolean
  readonly #failed: Endpoint[] = []
  #sent = false

  constructor(head: RequestHead, cluster: Cluster | undefined) {
    this.#cluster = cluster
    this.#authority = head.host
    this.#idempotent = IDEMPOTENT.has(head.method)
  }

  /** How much of the request's body is worth keeping once it has been sent. */
  get keptBytes(): number {
    return this.#idempotent ? (this.#cluster?.config.retryBufferBytes ?? 0) : 0
  }

  /** The endpoint to ask next; `undefined` when there is none. */
  next(): Endpoint | undefined {
    this.count++
    this.endpoint = this.#cluster?.pick(this.#failed, this.#authority)
    return this.endpoint
  }

  /** The endpoint has failed this request before: a connection it has kept may be as dead. */
  failedBefore(endpoint: Endpoint): boolean {
    return this.#failed.includes(endpoint)
  }

  /** A part of the request has been written. */
  sent(): void {
    this.#sent = true
  }

  failed(endpoint: Endpoint): void {
    if (!this.#failed.includes(endpoint)) this.#failed.push(endpoint)
  }

  mayRetry(body: RequestBody): boolean {
    if (this.#cluster === undefined || this.count > this.#cluster.config.retries) return false
    return !this.#sent || (this.#idempotent && body.replayable)
  }

  /** As {@link mayRetry}, after a refused connection: the same endpoint would only refuse again. */
  mayRetryElsewhere(body: RequestBody): boolean {
    const endpoints = this.#cluster?.config.endpoints.length ?? 0
    return endpoints > this.#failed.length && this.mayRetry(body)
  }
}
