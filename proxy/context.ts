import type { Logger } from 'pino'
import type { Counters } from './counters.ts'
import type { Deadlines } from './deadlines.ts'

/** What every part of one proxy shares. */
export interface ProxyContext {
  readonly log: Logger
  /** One line per request goes here; `undefined` when the access log is off. */
  readonly accessLog: Logger | undefined
  readonly counters: Counters
  readonly deadlines: Deadlines
  /** Responses say how they travelled, in `x-shmesh-transport`. */
  readonly transportHeader: boolean
  /** Set once, when the proxy drains: every response then closes its connection. */
  draining: boolean
}
