import type { NativeStatistics } from '../../native/index.ts'
import type { ShmSession } from './session.ts'

export interface SessionStatistics extends Partial<NativeStatistics> {
  readonly path: string
  readonly role: 'client' | 'server'
  readonly peer: 'shmesh' | 'shmipc'
  readonly closed: boolean
  /** Streams neither ended nor destroyed. */
  readonly streams: number
  /** Bytes of the shared region; 0 when closed. */
  readonly memoryBytes: number
  /** Slices that are somewhere between allocation and return: 0 when nothing is on the way. */
  readonly slicesInUse: number
  /** Messages this end sent by the session's socket because no slice was free. */
  readonly fallbackMessages: number
  readonly fallbackBytes: number
}

/** @internal */
export function reportSession(
  session: ShmSession,
  fallbackMessages: number,
  fallbackBytes: number
): SessionStatistics {
  const native = session.native.statistics()
  let slicesInUse = 0
  for (const list of native?.lists ?? []) slicesInUse += list.held + list.lent + list.borrowed
  return {
    path: session.path,
    role: session.role,
    peer: session.peer,
    closed: session.closed,
    streams: session.streams,
    memoryBytes: session.memory.length,
    slicesInUse,
    fallbackMessages,
    fallbackBytes,
    ...native
  }
}
