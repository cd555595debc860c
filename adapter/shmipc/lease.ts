import type { SliceRef } from './slice-ref.ts'

/** Who takes back what a lease lent. */
export interface Lender {
  returned(slice: SliceRef, bytes: number): void
}

/**
 * The right to read a view of shared memory. Begins held once, by whoever hands it out; ends when
 * every hold has been dropped, and the slice goes back to the peer.
 */
export class Lease {
  readonly #lender: Lender
  readonly #slice: SliceRef
  readonly #bytes: number
  #holds = 1
  #drop: (() => void) | undefined

  /** @internal */
  constructor(lender: Lender, slice: SliceRef, bytes: number) {
    this.#lender = lender
    this.#slice = slice
    this.#bytes = bytes
  }

  /** One more reader; it calls {@link release} or {@link drop} once. */
  hold(): void {
    this.#holds++
  }

  release(): void {
    if (--this.#holds === 0) this.#lender.returned(this.#slice, this.#bytes)
  }

  /** {@link release}, bound, so that it can be a write's callback. */
  get drop(): () => void {
    this.#drop ??= () => this.release()
    return this.#drop
  }
}
