/** `shmesh/http`: any node:http server, and any client of node:http, through shared memory. */
export type { LinkStatistics, SessionReport, SessionStatistics } from '../shmipc/index.ts'
export { type Attachment, type AttachOptions, attach } from './attach.ts'
export {
  ShmHttpAgent,
  type ShmHttpAgentOptions,
  type ShmHttpAgentStatistics
} from './shm-http-agent.ts'
