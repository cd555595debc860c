import type { ClusterConfig } from './config/types.ts'

/** The pause grows up to so many times the configured one. */
const MAX_BACKOFF_FACTOR = 10

/** Whether an answer with `status` is worth another attempt. */
export function retriesStatus({ retryOn }: ClusterConfig, status: number): boolean {
  return retryOn.statuses.length > 0 && retryOn.statuses.includes(status)
}

/**
 * How long to wait before attempt number `attempt` (2 is the first retry), in ms: random, so that
 * requests which failed together do not come back together.
 */
export function backoffMs({ retryBackoffMs }: ClusterConfig, attempt: number): number {
  const longest = retryBackoffMs * Math.min(MAX_BACKOFF_FACTOR, 2 ** (attempt - 2))
  return Math.random() * longest
}
