import type { Duplex } from 'node:stream'
import type { Wire, WireOwner } from '../wire.ts'

/** A connection as others know it, `request.socket`, whose bytes a codec can have. */
export interface WireStream extends Duplex {
  /** From here on bytes go to `owner` and not to the readable side. */
  takeOver(owner: WireOwner): Wire
  /** An ordinary Duplex again. */
  giveBack(): void
}
