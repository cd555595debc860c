import type { Lease } from '../../adapter/shmipc/index.ts'
import type { Leg } from './leg.ts'

/** Who uses a wire. Called from within the event loop's turn that brought what is told. */
export interface WireOwner {
  /** @param chunk valid during the call; with a lease, for as long as that is held */
  onBytes(chunk: Buffer, lease: Lease | undefined): void
  /** No longer blocked. */
  onDrain(): void
  /** The peer sends no more. */
  onEnd(): void
  /** Once, last. */
  onClose(error: Error | undefined): void
}

/** One connection, by socket or through shared memory, as a codec of ours uses it. */
export interface Wire {
  owner: WireOwner
  /** How it travels; `undefined` when its address is not `shm://`. */
  readonly leg: Leg | undefined
  /** Empty unless it is a TCP connection. */
  readonly remoteAddress: string
  readonly closed: boolean
  /** Its server is going: what is under way is served, nothing new may begin. */
  readonly retiring: boolean
  /** So much waits to be sent that its source must pause until `onDrain`. */
  readonly blocked: boolean
  /** 0 when all that was written has left; else a number that changes as bytes leave. */
  readonly backlog: number
  /**
   * @param before latin1 text, '' for none
   * @param body may change after the call unless `lease` is given, which is held until it is sent
   * @param after latin1 text behind `body`, '' for none
   */
  write(before: string, body: Buffer | undefined, after: string, lease: Lease | undefined): void
  /** Half-close, behind what was written. */
  end(): void
  pause(): void
  resume(): void
  /** A message has been read to its end. What its readers still hold must not stop the next one. */
  settle(): void
  destroy(error?: Error): void
  /** Ends it so that the peer cannot take what it has got for all. */
  reset(error: Error): void
}
