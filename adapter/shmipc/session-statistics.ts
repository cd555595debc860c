import type { NativeHolder, NativeStatistics } from '../../native/index.ts'
import type { Channel } from './channel.ts'
import { type LeakSuspect, MAX_HOLDERS } from './leak-watch.ts'
import type { ShmSession } from './session.ts'

/** Why messages went by the session's socket instead of shared memory. */
export type FallbackReason = 'noSlices' | 'ringFull'

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
  /** Messages this end sent by the session's socket instead of shared memory. */
  readonly fallbackMessages: number
  readonly fallbackBytes: number
  /** How often a stream turned to the socket, by what was short. */
  readonly fallbacks: Readonly<Record<FallbackReason, number>>
  /** Views of shared memory that consumers of ours are reading. */
  readonly leases: number
  /** Bytes that wait in shared memory for their streams to read on. */
  readonly keptBytes: number
}

export interface StreamStatistics {
  readonly id: number
  /** Which directions have ended: `open`, `ended by peer`, `ended by us`, `ended`. */
  readonly state: 'open' | 'ended by peer' | 'ended by us' | 'ended'
  /** `fallback`: it sends by the session's socket until all of that is read. */
  readonly transport: 'shm' | 'fallback'
  readonly bytesRead: number
  readonly bytesWritten: number
  /** Bytes, both directions, that travelled by the session's socket. */
  readonly fallbackBytes: number
  /** Bytes that arrived and that its owner has not taken. */
  readonly waitingToRead: number
  /** Bytes taken from its owner and not yet in shared memory. */
  readonly waitingToWrite: number
  /** Bytes it may send before the peer gives credit; null towards plain shmipc, which has none. */
  readonly credit: number | null
  /** Bytes sent that the peer has not acknowledged. */
  readonly unacknowledged: number
  /** Slices of the peer's that came for it, ... */
  readonly slicesReceived: number
  /** ... and those of them that are not returned. */
  readonly slicesHeld: number
}

export interface StreamReport extends StreamStatistics {
  /** Slices of ours that carried its bytes and that the peer has not returned. */
  readonly slicesSent: number
}

/** One session, for `shmesh inspect`. */
export interface SessionReport extends SessionStatistics {
  /** Process at the other end; 0 when the kernel did not say. */
  readonly peerPid: number
  readonly ageMs: number
  readonly perStream: readonly StreamReport[]
  /** What has been held longer than `leakWarning`. */
  readonly suspects: readonly LeakSuspect[]
}

/** @internal */
export function reportOf(
  session: ShmSession,
  channels: readonly Channel[],
  ageMs: number
): SessionReport {
  const sent = slicesSent(session.closed ? [] : session.native.holders(MAX_HOLDERS))
  return {
    ...statisticsOf(session),
    peerPid: session.peerPid,
    ageMs: Math.round(ageMs),
    perStream: channels.map((channel) => ({
      ...channel.statistics(),
      slicesSent: sent.get(channel.id) ?? 0
    })),
    suspects: session.leaks.suspects()
  }
}

/** By stream. */
function slicesSent(holders: readonly NativeHolder[]): ReadonlyMap<number, number> {
  const sent = new Map<number, number>()
  for (const { state, stream } of holders) {
    if (state === 'lent') sent.set(stream, (sent.get(stream) ?? 0) + 1)
  }
  return sent
}

/** @internal */
export function statisticsOf(session: ShmSession): SessionStatistics {
  const { path, role, peer, closed, streams, borrowed } = session
  const { fallbacks } = session.outbox
  const native = session.native.statistics()
  let slicesInUse = 0
  for (const list of native?.lists ?? []) slicesInUse += list.held + list.lent + list.borrowed
  return {
    path,
    role,
    peer,
    closed,
    streams,
    memoryBytes: session.memory.length,
    fallbackMessages: fallbacks.messages,
    fallbackBytes: fallbacks.bytes,
    fallbacks: fallbacks.reasons,
    leases: borrowed.leases,
    keptBytes: borrowed.keptBytes,
    slicesInUse,
    ...native
  }
}
