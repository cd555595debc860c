import type { FailureReason } from './counters.ts'

/** Why an exchange cannot go on as the client wished: what is answered, counted and logged. */
export interface Failure {
  readonly reason: FailureReason
  /** What is answered when no part of a response has been sent yet. */
  readonly status: number
  /** One sentence for people. */
  readonly message: string
}

/**
 * Why a request did not go as it should, in Envoy's letters where it has them. IE, LD and LR for
 * the drain's deadline are ours.
 */
export const FAILURE_FLAGS: Readonly<Record<FailureReason, string>> = {
  request_malformed: 'DPE',
  request_refused: 'DPE',
  request_timeout: 'SI',
  client_gone: 'DC',
  no_route: 'NR',
  loop_detected: 'LD',
  upstream_unreachable: 'UF',
  upstream_overloaded: 'UO',
  upstream_reset: 'UC',
  upstream_malformed: 'UPE',
  upstream_timeout: 'UT',
  drain_deadline: 'LR',
  internal: 'IE'
}

/** As the access log shows them: `UF`, and `UF,URX` when sending it again did not help. */
export function responseFlags(failure: Failure | undefined, retries: number): string {
  if (failure === undefined) return ''
  const flag = FAILURE_FLAGS[failure.reason]
  return retries > 0 ? `${flag},URX` : flag
}

/** The failures whose text does not depend on an error of the moment. */
export const failures = {
  loop: (): Failure => ({
    reason: 'loop_detected',
    status: 508,
    message: 'the request has passed through too many shmesh proxies: it is going round in circles'
  }),
  internal: (): Failure => ({
    reason: 'internal',
    status: 500,
    message: 'the proxy failed; its log has the error'
  }),
  clientGone: (): Failure => ({
    reason: 'client_gone',
    status: 499,
    message: 'the client closed the connection before it had its response'
  }),
  truncated: (): Failure => ({
    reason: 'request_malformed',
    status: 400,
    message: 'the connection ended in the head of a request'
  }),
  connectRefused: (): Failure => ({
    reason: 'request_refused',
    status: 501,
    message: 'CONNECT is not supported'
  }),
  tlsTarget: (): Failure => ({
    reason: 'request_refused',
    status: 501,
    message: 'TLS is not built yet: an https:// target cannot be sent on'
  }),
  ambiguousPath: (): Failure => ({
    reason: 'request_refused',
    status: 400,
    message: 'the path has dot segments, encoded slashes or backslashes, which routes cannot match'
  }),
  noPath: (): Failure => ({
    reason: 'no_route',
    status: 404,
    message: 'no route matches the path of the request'
  }),
  noHost: (host: string, status: 404 | 502): Failure => ({
    reason: 'no_route',
    status,
    message: `no route matches the host "${host}"`
  }),
  noEndpoint: (host: string): Failure => ({
    reason: 'no_route',
    status: 502,
    message: `there is no endpoint for the host "${host}"`
  }),
  overloaded: (label: string): Failure => ({
    reason: 'upstream_overloaded',
    status: 503,
    message: `upstream ${label} has no free connection`
  }),
  clusterFull: (cluster: string): Failure => ({
    reason: 'upstream_overloaded',
    status: 503,
    message: `cluster ${cluster} has as many requests in flight, and waiting, as it may`
  }),
  noMemory: (label: string, percent: number): Failure => ({
    reason: 'upstream_overloaded',
    status: 503,
    message: `upstream ${label} has less than ${percent} % of its shared memory free`
  }),
  emptyCluster: (cluster: string, problem: string): Failure => ({
    reason: 'upstream_unreachable',
    status: 503,
    message: `cluster ${cluster} has no endpoint: ${problem}`
  }),
  denied: (host: string): Failure => ({
    reason: 'request_refused',
    status: 403,
    message: `passthrough does not connect to ${host}`
  }),
  ownListener: (host: string): Failure => ({
    reason: 'loop_detected',
    status: 508,
    message: `${host} is this proxy itself: passthrough would go round in circles`
  }),
  stalled: (label: string, limitMs: number): Failure => ({
    reason: 'upstream_timeout',
    status: 504,
    message: `no byte moved to or from upstream ${label} for ${limitMs} ms`
  }),
  timeout: (label: string, what: 'begin' | 'finish', limitMs: number): Failure => ({
    reason: 'upstream_timeout',
    status: 504,
    message: `upstream ${label} did not ${what} its response within ${limitMs} ms`
  }),
  earlySwitch: (label: string): Failure => ({
    reason: 'upstream_malformed',
    status: 502,
    message: `upstream ${label} switched protocols before it had the whole request`
  }),
  headTooSlow: (limitMs: number): Failure => ({
    reason: 'request_timeout',
    status: 408,
    message: `the head of the request did not arrive within ${limitMs} ms`
  }),
  bodyTooSlow: (limitMs: number): Failure => ({
    reason: 'request_timeout',
    status: 408,
    message: `no byte moved to or from the client for ${limitMs} ms`
  }),
  requestTooSlow: (limitMs: number): Failure => ({
    reason: 'request_timeout',
    status: 408,
    message: `the body of the request did not arrive within ${limitMs} ms`
  }),
  tunnelIdle: (limitMs: number): Failure => ({
    reason: 'request_timeout',
    status: 408,
    message: `no byte moved through the tunnel for ${limitMs} ms`
  }),
  drainDeadline: (): Failure => ({
    reason: 'drain_deadline',
    status: 503,
    message: 'the proxy is shutting down and could not wait any longer'
  })
} as const

/** The message, with the code where it is not already part of it. */
export function describeError(error: Error): string {
  const code = (error as NodeJS.ErrnoException).code
  return code === undefined || error.message.includes(code)
    ? error.message
    : `${code}: ${error.message}`
}
