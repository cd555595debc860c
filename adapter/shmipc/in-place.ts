import { HeldSlice } from './held-slice.ts'
import type { ShmSession } from './session.ts'
import { SharedBody } from './shared-body.ts'
import { Status } from './status.ts'

/** Smaller ones are copied: that costs less than finding out where they lie. */
const MIN_BYTES = 16 * 1024
/** Likewise, than a message for the head, one for the body, and the answer that it was read. */
const MIN_LENT_BYTES = 128 * 1024

/** Where a body lies in shared memory already: it is sent whole, and no byte is copied. */
export type InPlace = HeldSlice | SharedBody

/** Undefined when `body` lies elsewhere, and is copied. */
export function placeOf(body: Buffer | string | undefined): InPlace | undefined {
  if (typeof body !== 'object' || body.length < MIN_BYTES) return undefined
  return HeldSlice.of(body) ?? (body.length < MIN_LENT_BYTES ? undefined : SharedBody.of(body))
}

/**
 * Sends a body of `bytes` from where it lies.
 *
 * @returns the bytes sent, 0 when the ring is full; undefined when they must be copied after all
 */
export function sendInPlace(
  session: ShmSession,
  id: number,
  own: InPlace,
  bytes: number
): number | undefined {
  const { native, spans } = session
  if (own instanceof HeldSlice) {
    // Of another session's memory, or ended elsewhere.
    if (own.session !== session || own.over) return undefined
    spans[0] = own.slice
    spans[1] = bytes
    if (!native.sendHeld(id, Status.data, 1)) return 0
    own.given()
    return bytes
  }
  const chain = own.chainIn(session)
  if (chain === undefined) return undefined
  spans.set(chain.spans)
  if (!native.sendHeld(id, Status.lend, chain.spans.length / 2)) return 0
  session.lent.add(own, chain)
  return bytes
}
