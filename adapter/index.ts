/**
 * Shared-memory sessions and streams between two processes of one machine, without HTTP:
 *
 *     const listener = await listen({ path: '/run/app.sock' })
 *     listener.on('stream', (stream) => stream.pipe(stream))
 *
 *     const session = await connect('shm:///run/app.sock')
 *     const stream = session.openStream()
 */

export type { ShmErrorCode } from './errors.ts'
export { ConnectionResetError, InvalidArgumentError, ProtocolError, ShmError } from './errors.ts'
export {
  type Availability,
  type Channel,
  type ChannelOwner,
  type ConnectOptions,
  connect,
  type HeldSlice,
  type LeakSuspect,
  type Lease,
  type LeaseTaker,
  type LinkStatistics,
  type ListenOptions,
  listen,
  type SessionOptions,
  type SessionReport,
  type SessionStatistics,
  SharedBody,
  type ShmListener,
  type ShmSession,
  type ShmStream,
  type StreamReport,
  type StreamStatistics,
  sharedMemory,
  UnreachableError
} from './shmipc/index.ts'
