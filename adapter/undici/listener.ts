import type { Duplex } from 'node:stream'
import type { Headers, Lease } from '../http1/index.ts'

/** What a handler may do to its exchange. */
export interface Steering {
  readonly paused: boolean
  abort(reason?: Error): void
  pause(): void
  resume(): void
}

/** A handler, whichever dialect it speaks. Its exceptions come through. */
export interface Listener {
  start(): void
  /** @returns false when it wants no body for now */
  head(status: number, headers: Headers, reason: string): boolean
  /** @returns as `head` */
  data(chunk: Buffer): boolean
  /** @returns false when it wants a copy instead */
  view(chunk: Buffer, lease: Lease): boolean
  end(trailers: Headers): void
  upgrade(status: number, headers: Headers, socket: Duplex): void
  error(error: Error): void
  responseStarted(): void
  bodySent(chunk: string | Uint8Array): void
  requestSent(): void
}
