/**
 * Events for tracing and metrics, on `node:diagnostics_channel`. Nothing is built or called while
 * nobody listens.
 *
 *     import { subscribe } from 'node:diagnostics_channel'
 *     subscribe('shmesh:transport:change', ({ path, from, to }) => …)
 */
import { type Channel, channel } from 'node:diagnostics_channel'

/** How bytes travel: through shared memory, or as plain HTTP on the same Unix socket. */
export type Transport = 'shm' | 'socket'

/** `shmesh:session:open`: the handshake is done and both ends have mapped the region. */
export interface SessionOpenMessage {
  /** Unix socket the session was made on. */
  readonly path: string
  readonly role: 'client' | 'server'
  /** Bytes of shared memory of this session. */
  readonly memoryBytes: number
  /** Process at the other end as the kernel reported it, when it did. */
  readonly peerPid?: number | undefined
}

/** `shmesh:session:close`: the session is gone and takes no more streams. */
export interface SessionCloseMessage {
  readonly path: string
  readonly role: 'client' | 'server'
  /** Why, when it was not an orderly close: the peer died or broke the protocol. */
  readonly error?: Error | undefined
}

/** `shmesh:stream:fallback`: no slice was free, so a message went by the session's socket. */
export interface StreamFallbackMessage {
  readonly path: string
  readonly streamId: number
  /** Bytes of this message. */
  readonly bytes: number
}

/** `shmesh:transport:change`: new requests to `path` now travel another way, to the same peer. */
export interface TransportChangeMessage {
  readonly path: string
  readonly from: Transport
  readonly to: Transport
  /** One line for people. */
  readonly reason: string
}

/** `shmesh:slice:leak`: shared memory was held longer than `leakWarning`; once for each holder. */
export interface SliceLeakMessage {
  readonly path: string
  /**
   * `lease`: a consumer reads a view and has not released it. `buffer`: it came from `alloc` and
   * was not written. `lent`: the peer has not returned it, and its stream is gone here.
   */
  readonly kind: 'lease' | 'buffer' | 'lent'
  /** 0 when it belongs to no stream. */
  readonly streamId: number
  readonly bytes: number
  readonly ageMs: number
  /** Where it was taken, with `SHMESH_TRACE_LEASES=1`. */
  readonly stack?: string | undefined
}

/** Every channel; docs/reference/diagnostics.md describes each. */
export const DIAGNOSTICS_CHANNELS = [
  'shmesh:session:open',
  'shmesh:session:close',
  'shmesh:stream:fallback',
  'shmesh:transport:change',
  'shmesh:slice:leak'
] as const

const [sessionOpen, sessionClose, streamFallback, transportChange, sliceLeak] =
  DIAGNOSTICS_CHANNELS.map((name) => channel(name)) as [Channel, Channel, Channel, Channel, Channel]

/** Publishes `shmesh:session:open`. */
export function publishSessionOpen(message: SessionOpenMessage): void {
  if (sessionOpen.hasSubscribers) sessionOpen.publish(message)
}

/** Publishes `shmesh:session:close`. */
export function publishSessionClose(message: SessionCloseMessage): void {
  if (sessionClose.hasSubscribers) sessionClose.publish(message)
}

/** Publishes `shmesh:stream:fallback`; takes no object because it may run for every message. */
export function publishStreamFallback(path: string, streamId: number, bytes: number): void {
  if (!streamFallback.hasSubscribers) return
  const message: StreamFallbackMessage = { path, streamId, bytes }
  streamFallback.publish(message)
}

/** Publishes `shmesh:slice:leak`. */
export function publishSliceLeak(message: SliceLeakMessage): void {
  if (sliceLeak.hasSubscribers) sliceLeak.publish(message)
}

/** Publishes `shmesh:transport:change`. */
export function publishTransportChange(message: TransportChangeMessage): void {
  if (transportChange.hasSubscribers) transportChange.publish(message)
}
