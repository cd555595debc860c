import type { DownstreamOwner } from './downstream-owner.ts'
import { type Failure, failures } from './failure.ts'

/** How long a closed connection is still read, so that the client gets to see its last response. */
const LINGER_MS = 2000
/** How long a draining proxy waits for one more request on a connection that is idle. */
const DRAIN_GRACE_MS = 200

/** How long one client may take: to send a request, to take its response, to begin another. */
export class ClientDeadlines {
  readonly #owner: DownstreamOwner
  /** For the head of a request, for its first byte, or for lingering. */
  #deadline: number
  /** The deadline had passed when it was looked at last. */
  #overdue = false
  /** When the client last sent or took a byte. */
  #progressAt: number
  /** Bytes that waited to be taken when it was looked at last. */
  #backlog = 0

  constructor(owner: DownstreamOwner) {
    this.#owner = owner
    const { now } = owner.context.deadlines
    this.#progressAt = now
    this.#deadline = now + owner.headTimeoutMs
  }

  /** The client has sent or taken something. */
  moved(): void {
    this.#progressAt = this.#owner.context.deadlines.now
  }

  /** The first byte of a request has come. */
  expectHead(): void {
    this.#expect(this.#owner.headTimeoutMs)
  }

  /** The next request may come. */
  expectRequest(): void {
    const { draining, idleTimeoutMs } = this.#owner
    this.#expect(draining ? DRAIN_GRACE_MS : idleTimeoutMs)
  }

  /** The proxy drains: the next request is not waited for any longer than that. */
  hasten(): void {
    this.#deadline = Math.min(this.#deadline, performance.now() + DRAIN_GRACE_MS)
  }

  /** The last response is written. */
  linger(): void {
    this.#deadline = performance.now() + LINGER_MS
  }

  /**
   * What was expected has not come. Seen twice: after a stall of the event loop it may have come,
   * and nobody has read it yet.
   */
  passed(now: number): boolean {
    if (now <= this.#deadline) return false
    const overdue = this.#overdue
    this.#overdue = true
    return overdue
  }

  /**
   * Why the request that is being served cannot go on, if the client is to blame.
   *
   * @param waiting for the client; how long the upstream takes is not its fault
   * @param receivingSince undefined when all of the request has come
   */
  overrun(
    now: number,
    backlog: number,
    waiting: boolean,
    receivingSince: number | undefined
  ): Failure | undefined {
    const { bodyTimeoutMs, requestTimeoutMs } = this.#owner
    if (!waiting) this.#progressAt = now
    if (this.#stalled(now, backlog)) return failures.bodyTooSlow(bodyTimeoutMs)
    if (receivingSince === undefined || requestTimeoutMs === 0) return undefined
    return now - receivingSince > requestTimeoutMs
      ? failures.requestTooSlow(requestTimeoutMs)
      : undefined
  }

  /** However slowly the client takes its last response, it lingers from the end of that on. */
  lingered(now: number, backlog: number): boolean {
    if (backlog === 0) return now > this.#deadline
    this.#deadline = now + LINGER_MS
    return this.#stalled(now, backlog)
  }

  /** The client has neither sent nor taken a byte for as long as it may. */
  #stalled(now: number, backlog: number): boolean {
    if (backlog !== this.#backlog) this.#progressAt = now
    this.#backlog = backlog
    return now - this.#progressAt > this.#owner.bodyTimeoutMs
  }

  #expect(withinMs: number): void {
    this.#deadline = this.#owner.context.deadlines.now + withinMs
    this.#overdue = false
  }
}
