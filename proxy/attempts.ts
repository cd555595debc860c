import type { RequestHead } from '../adapter/http1/codec.ts'
import type { Counters } from './counters.ts'
import type { Destination } from './destination.ts'
import { type Failure, failures } from './failure.ts'
import { backoffMs, retriesStatus } from './retry-policy.ts'
import type { Upload } from './upload.ts'
import type { Cluster } from './upstream/cluster.ts'
import type { UpstreamConnection } from './upstream/connection.ts'
import { Endpoint, type Waiter } from './upstream/endpoint.ts'
import type { LoadWaiter } from './upstream/load.ts'

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
 * Which endpoints a request is sent to, one after the other. At any time it waits for its turn, for
 * a connection, or for the next attempt, or has got a connection.
 */
export class Attempts implements Waiter, LoadWaiter {
  count = 0
  /** The endpoint asked last. */
  endpoint: Endpoint | undefined
  readonly #owner: AttemptsOwner
  readonly #counters: Counters
  readonly #cluster: Cluster | undefined
  readonly #retries: number
  readonly #perTryTimeoutMs: number
  readonly #authority: string
  readonly #idempotent: boolean
  #failed: Endpoint[] | undefined
  #waitingAt: Endpoint | undefined
  /** Until when it waits for its turn or for a connection, as performance.now() counts. */
  #waitingUntil = 0
  #queued = false
  /** It counts as one of the cluster's requests in flight, ... */
  #admitted = false
  /** ... and as one of those its budget pays for. */
  #budgeted = false
  #pause: NodeJS.Timeout | undefined
  /** When the answer must have begun, as performance.now() counts; 0 is never. */
  #answerBy = 0
  /** A part of the request has been written. */
  #sent = false

  constructor(
    owner: AttemptsOwner,
    head: RequestHead,
    destination: Destination | undefined,
    counters: Counters
  ) {
    this.#owner = owner
    this.#cluster = destination?.cluster
    this.#retries = destination?.limits.retries ?? 0
    this.#perTryTimeoutMs = destination?.limits.perTryTimeoutMs ?? 0
    this.#counters = counters
    this.#authority = destination?.host ?? head.host
    this.#idempotent = IDEMPOTENT.has(head.method)
  }

  /** How much of the request's body is worth keeping once it has been sent. */
  get keptBytes(): number {
    return this.#idempotent ? (this.#cluster?.config.retryBufferBytes ?? 0) : 0
  }

  /** Asks for a connection, which the owner may have before this returns. */
  begin(): void {
    const cluster = this.#cluster as Cluster
    const entered = cluster.load.enter(this)
    if (entered === 'full') {
      this.#owner.fail(failures.clusterFull(cluster.config.name))
    } else if (entered === 'waiting') {
      this.#queued = true
      this.#waitingUntil = performance.now() + cluster.config.queueTimeoutMs
    } else {
      this.#admitted = true
      this.#next()
    }
  }

  admitted(): void {
    this.#queued = false
    this.#admitted = true
    this.#next()
    this.#owner.attempted()
  }

  connected(connection: UpstreamConnection): void {
    this.#waitingAt = undefined
    this.#start(connection)
    this.#owner.attempted()
  }

  connectFailed(endpoint: Endpoint, failure: Failure): void {
    this.#waitingAt = undefined
    this.#remember(endpoint)
    const { size, config } = this.#cluster as Cluster
    // The endpoint that refused would only refuse again.
    const others = size > (this.#failed?.length ?? 0)
    if (others && config.retryOn.connectFailure && this.#mayRetry()) this.#retry()
    else this.#owner.fail(failure)
  }

  /** The connection of the current attempt is gone. */
  lost(connection: UpstreamConnection, failure: Failure): void {
    const { retryOn } = (this.#cluster as Cluster).config
    if (connection.served === 0) connection.endpoint.ejection.unreachable()
    this.#remember(connection.endpoint)
    if (retryOn.reset && !connection.responding && this.#mayRetry()) this.#retry()
    else this.#owner.fail(failure)
  }

  /** The answer to the current attempt has not begun in time. */
  timedOut(endpoint: Endpoint): void {
    const { retryOn } = (this.#cluster as Cluster).config
    endpoint.ejection.answered(true)
    this.#remember(endpoint)
    if (retryOn.timeout && this.#mayRetry() && this.#isPaidFor()) this.#retryLater()
    else this.#owner.fail(failures.timeout(endpoint.label, 'begin', this.#perTryTimeoutMs))
  }

  /** Whether an answer with `status` is not the client's: then {@link retryRejected} must follow. */
  rejects(endpoint: Endpoint, status: number): boolean {
    endpoint.ejection.answered(status >= 500)
    const { config } = this.#cluster as Cluster
    if (!retriesStatus(config, status)) return false
    return this.#mayRetry() && this.#isPaidFor()
  }

  retryRejected(endpoint: Endpoint): void {
    this.#remember(endpoint)
    this.#retryLater()
  }

  /** Nothing is waited for any more, and nothing counted. Idempotent. */
  end(): void {
    clearTimeout(this.#pause)
    this.#waitingAt?.cancel(this)
    this.#waitingAt = undefined
    const load = this.#cluster?.load
    if (this.#queued) load?.cancel(this)
    this.#queued = false
    if (this.#budgeted) load?.endRetry()
    this.#budgeted = false
    // Last: whoever comes next may be admitted from within.
    if (!this.#admitted) return
    this.#admitted = false
    load?.leave()
  }

  /** The answer to the current attempt should have begun by now. */
  isOverdue(now: number): boolean {
    return this.#answerBy !== 0 && now > this.#answerBy
  }

  /** Gives up waiting when it has taken too long. */
  sweep(now: number): void {
    if (now <= this.#waitingUntil) return
    if (this.#queued) this.#owner.fail(failures.clusterFull(this.#cluster?.config.name ?? ''))
    else if (this.#waitingAt !== undefined) {
      this.#owner.fail(failures.overloaded(this.#waitingAt.label))
    }
  }

  #next(): void {
    const cluster = this.#cluster as Cluster
    this.count++
    const endpoint = cluster.pick(this.#failed ?? NONE, this.#authority)
    if (!(endpoint instanceof Endpoint)) {
      this.#owner.fail(endpoint)
      return
    }
    this.endpoint = endpoint
    // A connection that the endpoint has kept may be as dead as the one that failed before.
    const acquired = endpoint.acquire(this, this.#failed?.includes(endpoint) === true)
    if (acquired === 'overloaded') {
      this.#owner.fail(failures.overloaded(endpoint.label))
    } else if (acquired === 'waiting') {
      this.#waitingAt = endpoint
      this.#waitingUntil = performance.now() + cluster.config.queueTimeoutMs
    } else {
      this.#start(acquired)
    }
  }

  #start(connection: UpstreamConnection): void {
    if (this.#perTryTimeoutMs > 0) this.#answerBy = performance.now() + this.#perTryTimeoutMs
    this.#owner.attempt(connection)
    this.#sent = true
  }

  #mayRetry(): boolean {
    if (this.count > this.#retries) return false
    return !this.#sent || (this.#idempotent && this.#owner.upload.replayable)
  }

  /**
   * What an upstream has answered or is working on costs it twice when it is asked again, so the
   * cluster's budget pays for it. A connection that failed has cost nothing.
   */
  #isPaidFor(): boolean {
    this.#budgeted ||= (this.#cluster as Cluster).load.beginRetry()
    return this.#budgeted
  }

  #retry(): void {
    this.#answerBy = 0
    this.#counters.retries++
    this.#next()
    this.#owner.attempted()
  }

  #retryLater(): void {
    const { config } = this.#cluster as Cluster
    this.#answerBy = 0
    this.#pause = setTimeout(() => this.#retry(), backoffMs(config, this.count + 1))
  }

  #remember(endpoint: Endpoint): void {
    if (this.#failed === undefined) this.#failed = [endpoint]
    else if (!this.#failed.includes(endpoint)) this.#failed.push(endpoint)
  }
}
