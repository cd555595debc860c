/** How a request's bytes travelled, over the worse of its legs that could use shared memory. */
export type TransportLabel = 'shm' | 'fallback' | 'socket'

/**
 * Why the proxy answered itself, or cut an answer short. Sent as `x-shmesh-reason`, counted in
 * /stats; docs/reference/proxy-config.md says what to do about each.
 */
export const FAILURE_REASONS = [
  'request_malformed',
  'request_refused',
  'request_timeout',
  'client_gone',
  'no_route',
  'loop_detected',
  'upstream_unreachable',
  'upstream_overloaded',
  'upstream_reset',
  'upstream_malformed',
  'upstream_timeout',
  'drain_deadline',
  'internal'
] as const

export type FailureReason = (typeof FAILURE_REASONS)[number]

/** Plain numbers; whoever shows them copies them. */
export class Counters {
  total = 0
  active = 0
  retries = 0
  /** Attempts to go on with another configuration. */
  readonly reloads = { succeeded: 0, failed: 0 }
  /** Index 1 to 5: responses 1xx to 5xx sent; index 0: requests that got none. */
  readonly classes: [number, number, number, number, number, number] = [0, 0, 0, 0, 0, 0]
  readonly transports: Record<TransportLabel, number> = { shm: 0, fallback: 0, socket: 0 }
  readonly failures: Map<FailureReason, number> = new Map()

  /** A request that was answered before it could be read as one. */
  refused(failure: { readonly reason: FailureReason; readonly status: number }): void {
    this.total++
    this.answered(failure.status)
    this.failed(failure.reason)
  }

  /** @param status 0 when no response was sent */
  answered(status: number): void {
    const statusClass = Math.trunc(status / 100)
    this.classes[statusClass >= 1 && statusClass <= 5 ? (statusClass as 1) : 0]++
  }

  failed(reason: FailureReason): void {
    this.failures.set(reason, (this.failures.get(reason) ?? 0) + 1)
  }
}
