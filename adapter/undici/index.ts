/** An undici dispatcher over shared memory. Needs `undici` 6.21+, 7 or 8 beside it. */

export type { Lease } from '../http1/index.ts'
export type { LinkStatistics, SessionStatistics } from '../shmipc/index.ts'
export type {
  ControllerHandler,
  DispatchController,
  HeaderObject,
  LegacyHandler
} from './handlers.ts'
export { shm } from './interceptor.ts'
export type { ShmAgentOptions } from './options.ts'
export { type OriginStatistics, ShmAgent, type ShmAgentStatistics } from './shm-agent.ts'
