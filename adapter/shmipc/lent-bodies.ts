import type { ShmSession } from './session.ts'
import type { SharedBody, SharedChain } from './shared-body.ts'

/** Bodies of ours the peer of a session is reading, by their first slice. */
export class LentBodies {
  readonly #session: ShmSession
  readonly #lent = new Map<number, [body: SharedBody, chain: SharedChain]>()

  /** Those with a copy in this session's memory. */
  readonly #bodies = new Set<SharedBody>()

  constructor(session: ShmSession) {
    this.#session = session
  }

  /** `body` has a copy here. */
  keep(body: SharedBody): void {
    this.#bodies.add(body)
  }

  /** It has none any more. */
  drop(body: SharedBody): void {
    this.#bodies.delete(body)
  }

  /** The session is over, and its memory with it. */
  end(): void {
    for (const body of this.#bodies) body.forget(this.#session)
    this.#bodies.clear()
    this.#lent.clear()
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
