import { setTimeout as delay } from 'node:timers/promises'

/** How long a plain shmipc peer may take for what was sent before its session ends, in ms. */
const DELIVERY_MS = 1000
const LOOK_MS = 2
/**
 * So long after it gave the last slice back it is taken to keep the others, as shmipc-go does for
 * idle streams: longer than a process whose share of the processors is used up stands still.
 */
const PATIENCE_MS = 500
/** For what came by the socket and it still has to hand to its readers. */
const GRACE_MS = 20

/** A session that is about to end. */
export interface Delivering {
  readonly closed: boolean
  readonly outbox: { readonly undelivered: number; readonly withPeer: number }
}

/** Resolves when the peer has read what was sent, or is given up after a second. */
export async function delivered(session: Delivering): Promise<void> {
  const { outbox } = session
  const deadline = performance.now() + DELIVERY_MS
  let unread = Number.POSITIVE_INFINITY
  let patientUntil = 0
  while (!session.closed && performance.now() < deadline) {
    const left = outbox.undelivered + outbox.withPeer
    if (left === 0) break
    if (left !== unread) patientUntil = performance.now() + PATIENCE_MS
    unread = left
    if (outbox.undelivered === 0 && performance.now() > patientUntil) break
    await delay(LOOK_MS)
  }
  if (!session.closed) await delay(GRACE_MS)
}
