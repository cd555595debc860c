import type { Duplex } from 'node:stream'
import type { Headers, ResponseHead } from '../message.ts'
import type { Lease } from '../wire.ts'
import type { ClientConnection } from './connection.ts'

/**
 * A request and whoever waits for its response. Its methods are called by the pool it was submitted
 * to, and must not throw: a connection would be left in the middle.
 */
export interface Exchange {
  readonly method: string
  /** The protocols it offers to switch to (the value of Upgrade). */
  readonly upgrade: string | undefined
  /** Nothing is wanted any more: skipped when its turn comes. */
  readonly aborted: boolean
  /** May be sent again when a reused connection broke before any answer. */
  readonly replayable: boolean
  /** On the pool's clock; written by the pool while it waits and by the exchange once it is sent. */
  deadline: number

  /** A connection is its own: it writes its request there. */
  onConnection(connection: ClientConnection): void
  /** Also for interim responses (1xx), before the final one. */
  onHead(head: ResponseHead): void
  /** @param lease undefined: `chunk` is its own. Else a view, valid during the call and while held */
  onBody(chunk: Buffer, lease: Lease | undefined): void
  /** The response is complete. The connection is no longer its own. */
  onEnd(trailers: Headers): void
  /** After 101, or 2xx to CONNECT: `duplex` is its own, and no connection of the pool. */
  onTunnel(head: ResponseHead, duplex: Duplex): void
  /** The connection took all that was written. */
  onDrain(): void
  /** The connection broke, or none could be had. */
  onFailure(error: Error): void
  /** `deadline` has passed. */
  onDeadline(): void
}
