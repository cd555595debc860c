import type { Clock, ConnectionPool } from '../http1/index.ts'

/** Where exchanges of one origin go, and under which rules. */
export interface ExchangeContext {
  readonly origin: string
  /** Of a request that has no Host of its own. */
  readonly hostLine: string
  readonly pool: ConnectionPool
  readonly clock: Clock
  /** In milliseconds; 0: none. */
  readonly headersTimeout: number
  readonly bodyTimeout: number
  readonly connectTimeout: number
  readonly strictContentLength: boolean
  /** 0: any number. */
  readonly maxRequestsPerClient: number
  /** In bytes; -1: any. */
  readonly maxResponseSize: number
  /** A handler that was told an error has thrown. */
  readonly onHandlerFailed: (error: unknown) => void
}
