import type { Logger } from 'pino'
import type { Clock } from '../adapter/http1/codec.ts'
import type { AccessLog } from './access-log/access-log.ts'
import type { Counters } from './counters.ts'
import type { Tracing } from './tracing/span.ts'

/** What every part of one proxy shares. */
export interface ProxyContext {
  readonly log: Logger
  /** `undefined` when it is off. */
  readonly accessLog: AccessLog | undefined
  /** `undefined`: fields that carry traces are sent on as they come. */
  tracing: Tracing | undefined
  readonly counters: Counters
  readonly deadlines: Clock
  /** Responses say how they travelled, in `x-shmesh-transport`. */
  transportHeader: boolean
  /** Set once, when the proxy drains: every response then closes its connection. */
  draining: boolean
}
