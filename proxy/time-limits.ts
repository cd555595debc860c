import type { RequestLimits } from './config/types.ts'
import { type Failure, failures } from './failure.ts'

/** How far a request has got. */
export interface RequestAge {
  /** Since it began, in milliseconds. */
  readonly age: number
  /** The head of its response has been sent. */
  readonly started: boolean
  /** Since a byte moved to or from the upstream, in milliseconds; 0 when that waits for the client. */
  readonly stalled: number
}

/** What has taken too long. @param label of the upstream, for the message */
export function overrun(limits: RequestLimits, at: RequestAge, label: string): Failure | undefined {
  const { requestTimeoutMs, headTimeoutMs, bodyTimeoutMs } = limits
  if (requestTimeoutMs > 0 && at.age > requestTimeoutMs) {
    return failures.timeout(label, 'finish', requestTimeoutMs)
  }
  if (headTimeoutMs > 0 && at.age > headTimeoutMs && !at.started) {
    return failures.timeout(label, 'begin', headTimeoutMs)
  }
  const stalled = bodyTimeoutMs > 0 && at.stalled > bodyTimeoutMs
  return stalled ? failures.stalled(label, bodyTimeoutMs) : undefined
}
