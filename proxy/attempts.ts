import type { RequestHead } from '../adapter/http1/index.ts'
import type { Counters } from './counters.ts'
import { type Failure, failures } from './failure.ts'
import type { Upload } from './upload.ts'
import type { Cluster } from './upstream/cluster.ts'
import type { UpstreamConnection } from './upstream/connection.ts'
import type { Endpoint, Waiter } from './upstream/endpoint.ts'

/** What may be sent twice without doing it twice (RFC 9110 9.2.2). */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS', 'TRACE'])
const NONE: readonly Endpoint[] = []

export interface AttemptsOwner {
  readonly upload: Upload
  /** The request is to be written to `connection`, from its beginning. */
  attempt(connection: UpstreamConnection): void
  /** What a later attempt has written may leave; the client may be read again. */
  attempted(): void
  /** There is no further attempt. */
  fail(failure: Failure): void
}

/**
 * Which endpoints a request is sent to, one after the other. At any time it waits for a connection,
 * or has got one.
 */
export class Attempts implements Waiter {
  count = 0
  /** The endpoint asked last. */
  endpoint: Endpoint | undefined
  readonly #owner: AttemptsOwner
  readonly #counters: Counters
  readonly #cluster: Cluster | undefined
  readonly #authority: string
  readonly #idempotent: boolean
  #failed: Endpoint[] | undefined
  #waitingAt: Endpoint | undefined
  /** As performance.now() counts. */
  #waitingUntil = 0
  /** A part of the request has been written. */
  #sent = false

  constructor(
    owner: AttemptsOwner,
    head: RequestHead,
    cluster: Cluster | undefined,
    counters: Counters
  ) {
    this.#owner = owner
    this.#cluster = cluster
    this.#counters = counters
    this.#authority = head.host
    this.#idempotent = IDEMPOTENT.has(head.method)
  }

  /** How much of the request's body is worth keeping once it has been sent. */
  get keptBytes(): number {
    return this.#idempotent ? (this.#cluster?.config.retryBufferBytes ?? 0) : 0
  }

  /** Asks for a connection, which the owner may have before this returns. */
  begin(): void {
    this.count++
    const endpoint = this.#cluster?.pick(this.#failed ?? NONE, this.#authority)
    this.endpoint = endpoint
    if (endpoint === undefined) {
      this.#owner.fail(failures.noEndpoint(this.#authority))
      return
    }
    // A connection that the endpoint has kept may be as dead as the one that failed before.
    const acquired = endpoint.acquire(this, this.#failed?.includes(endpoint) === true)
    if (acquired === 'overloaded') {
      this.#owner.fail(failures.overloaded(endpoint.label))
    } else if (acquired === 'waiting') {
      this.#waitingAt = endpoint
      this.#waitingUntil = performance.now() + (this.#cluster?.config.queueTimeoutMs ?? 0)
    } else {
      this.#start(acquired)
    }
  }

  connected(connection: UpstreamConnection): void {
    this.#waitingAt = undefined
    this.#start(connection)
    this.#owner.attempted()
  }

  connectFailed(endpoint: Endpoint, failure: Failure): void {
    this.#waitingAt = undefined
    this.#remember(endpoint)
    // The endpoint that refused would only refuse again.
    const others = (this.#cluster?.config.endpoints.length ?? 0) > (this.#failed?.length ?? 0)
    if (others && this.#mayRetry()) this.#retry()
    else this.#owner.fail(failure)
  }

  /** The connection of the current attempt is gone. */
  lost(connection: UpstreamConnection, failure: Failure): void {
    if (connection.served === 0) connection.endpoint.failed()
    this.#remember(connection.endpoint)
    if (!connection.responding && this.#mayRetry()) this.#retry()
    else this.#owner.fail(failure)
  }

  /** Nothing is waited for any more. */
  cancel(): void {
    this.#waitingAt?.cancel(this)
    this.#waitingAt = undefined
  }

  /** Gives up waiting for a connection when it has taken too long. */
  sweep(now: number): void {
    const endpoint = this.#waitingAt
    if (endpoint !== undefined && now > this.#waitingUntil) {
      this.#owner.fail(failures.overloaded(endpoint.label))
    }
  }

  #start(connection: UpstreamConnection): void {
    this.#owner.attempt(connection)
    this.#sent = true
  }

  #mayRetry(): boolean {
    if (this.#cluster === undefined || this.count > this.#cluster.config.retries) return false
    return !this.#sent || (this.#idempotent && this.#owner.upload.replayable)
  }

  #retry(): void {
    this.#counters.retries++
    this.begin()
    this.#owner.attempted()
  }

  #remember(endpoint: Endpoint): void {
    if (this.#failed === undefined) this.#failed = [endpoint]
    else if (!this.#failed.includes(endpoint)) this.#failed.push(endpoint)
  }
}
