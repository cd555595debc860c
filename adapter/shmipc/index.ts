/** Floor 1: shared-memory sessions and streams. Knows nothing of HTTP. */
export { parseShmAddress, parseShmDirectory } from './address.ts'
export { type Availability, sharedMemory } from './availability.ts'
export { type ClaimedPath, type ClaimOptions, claimPath } from './bind.ts'
export { Channel, type ChannelOwner } from './channel.ts'
export { type ConnectOptions, connect, UnreachableError } from './connect.ts'
export { socketIn } from './directory-socket.ts'
export { DirectoryWatch } from './directory-watch.ts'
export { allocateIn, HeldSlice } from './held-slice.ts'
export { type Answer, askListener } from './inspect-ask.ts'
export { readDump, writeDump } from './inspect-dump.ts'
export type { MemoryView } from './inspect-memory.ts'
export { type Inspection, inspectPath, inspectProcess } from './inspect-process.ts'
export { reportThread, type ThreadReport } from './inspection.ts'
export type { LeakSuspect } from './leak-watch.ts'
export type { Lease } from './lease.ts'
export { type Connection, Link, type LinkStatistics } from './link.ts'
export { type ListenOptions, listen, ShmListener } from './listener.ts'
export { ShmSession } from './session.ts'
export {
  pickSessionTuning,
  SESSION_TUNING,
  type SessionOptions,
  type SessionTuning
} from './session-options.ts'
export type {
  SessionReport,
  SessionStatistics,
  StreamReport,
  StreamStatistics
} from './session-statistics.ts'
export { SharedBody } from './shared-body.ts'
export { defaultSocketPath, socketDirectory } from './socket-directory.ts'
export { type LeaseTaker, ShmStream } from './stream.ts'
