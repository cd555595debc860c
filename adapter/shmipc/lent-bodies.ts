import type { ShmSession } from './session.ts'
import type { SharedBody, SharedChain } from './shared-body.ts'

/** Bodies of ours the peer of a session is reading, by their first slice. */
export class LentBodies {
  readonly #session: ShmSession
  readonly #lent = new Map<number, [body: SharedBody, chain: SharedChain]>()

  constructor(session: ShmSession) {
    this.#session = session
  }

  /** The peer has been sent a lent message. */
  add(body: SharedBody, chain: SharedChain): void {
    chain.lends++
    this.#lent.set(chain.spans[0]!, [body, chain])
  }

  /** The peer has read one; the core has checked that it was lent. */
  done(first: number): void {
    const lent = this.#lent.get(first)
    if (lent === undefined) return
    const [body, chain] = lent
    body.ended(this.#session, chain)
    if (chain.lends === 0) this.#lent.delete(first)
  }
}
