import { setTimeout as delay } from 'node:timers/promises'

/** How long a plain shmipc peer may take for what was sent before its session ends, in ms. */
const DELIVERY_MS = 1000
const LOOK_MS = 2
/** For what it has taken from the ring and still has to hand to its readers. */
const GRACE_MS = 20

/** A session that is about to end. */
export interface Delivering {
  readonly closed: boolean
  readonly outbox: { readonly undelivered: number }
}

/** Resolves when the peer has what was sent, or is given up after a second. */
export async function delivered(session: Delivering): Promise<void> {
  const deadline = performance.now() + DELIVERY_MS
  while (!session.closed && session.outbox.undelivered > 0 && performance.now() < deadline) {
    await delay(LOOK_MS)
  }
  if (!session.closed) await delay(GRACE_MS)
}
