import type { NativeSession } from '../../native/index.ts'
import type { Loan, SliceRef } from './slice-ref.ts'

/** Of what the peer may allocate, what undelivered bytes may occupy; beyond it they are copied out. */
const MAX_KEPT_SHARE = 1 / 2
/** The same with what consumers hold: the rest is for those who keep up. */
const MAX_OUT_SHARE = 3 / 4

/** Most slices of a batch that go back together. */
const BATCH = 256

export interface BorrowedSlicesOwner {
  /** All slices of a lent message have been released. */
  onLoanRead(loan: Loan): void
  /** The session is over, and nobody reads its memory any more. */
  onUnmapped(): void
}

/**
 * The peer's slices that this end has received and not given back. While the session lives a slice
 * that is let go returns at once; after its end the mapping goes when the last lease does.
 */
export class BorrowedSlices {
  readonly #native: NativeSession
  readonly #maxKeptBytes: number
  readonly #maxOutBytes: number
  /** Payload sizes of the slices there are, ascending. */
  readonly #payloads: readonly number[]
  readonly #owner: BorrowedSlicesOwner
  /** Slices whose views are with a consumer. */
  #leases = 0
  /** Bytes that wait in shared memory for their owners to read on. */
  #keptBytes = 0
  /** Payload of the slices they wait in, and of those whose leases outlive their call. */
  #outBytes = 0
  #ended = false
  /** Released while events are delivered: they go back together. */
  readonly #batch = new Uint32Array(BATCH)
  #batched = 0
  #batching = false

  /** @param budget payload bytes the peer may allocate */
  constructor(native: NativeSession, budget: number, owner: BorrowedSlicesOwner) {
    this.#native = native
    this.#maxKeptBytes = budget * MAX_KEPT_SHARE
    this.#maxOutBytes = budget * MAX_OUT_SHARE
    this.#payloads = native.statistics()?.lists.map(({ payload }) => payload) ?? []
    this.#owner = owner
  }

  get leases(): number {
    return this.#leases
  }

  get keptBytes(): number {
    return this.#keptBytes
  }

  /** Whether `bytes` more may wait in shared memory. */
  mayKeep(bytes: number): boolean {
    return this.#keptBytes + bytes <= this.#maxKeptBytes && this.mayHold(bytes)
  }

  keep(bytes: number): void {
    this.#keptBytes += bytes
    this.hold(bytes)
  }

  unkeep(bytes: number): void {
    this.#keptBytes -= bytes
    this.unhold(bytes)
  }

  /** Whether the slice of `bytes` more may stay out without others going short. */
  mayHold(bytes: number): boolean {
    return this.#outBytes + this.#occupied(bytes) <= this.#maxOutBytes
  }

  hold(bytes: number): void {
    this.#outBytes += this.#occupied(bytes)
  }

  unhold(bytes: number): void {
    this.#outBytes -= this.#occupied(bytes)
  }

  /** A view of a slice is handed out; it ends with `returned`. */
  lend(): void {
    this.#leases++
  }

  /** A lease ended. */
  returned(slice: SliceRef): void {
    this.#leases--
    if (!this.#ended) this.release(slice)
    else if (this.#leases === 0) this.#unmap()
  }

  /** Gives a slice back that no lease is about. */
  release(slice: SliceRef): void {
    if (this.#ended) return
    if (typeof slice === 'number') {
      this.#giveBack(slice)
      return
    }
    this.#giveBack(slice.slice)
    if (--slice.loan.left === 0) this.#owner.onLoanRead(slice.loan)
  }

  /** From here on what is released waits for {@link endBatch}, or for a batch to be full. */
  beginBatch(): void {
    this.#batching = true
  }

  endBatch(): void {
    this.#batching = false
    if (this.#batched > 0) this.#flush()
  }

  /** What a slice with `bytes` takes of the budget: it is the smallest that has room for them. */
  #occupied(bytes: number): number {
    if (bytes === 0) return 0
    for (const payload of this.#payloads) if (payload >= bytes) return payload
    return bytes
  }

  #giveBack(slice: number): void {
    if (!this.#batching) {
      this.#native.release(slice)
      return
    }
    this.#batch[this.#batched++] = slice
    if (this.#batched === BATCH) this.#flush()
  }

  #flush(): void {
    const count = this.#batched
    this.#batched = 0
    if (!this.#ended) this.#native.releaseAll(this.#batch, count)
  }

  /** The session is over. Views that are still being read keep the memory mapped. */
  end(): void {
    this.#ended = true
    if (this.#leases === 0) this.#unmap()
  }

  #unmap(): void {
    this.#native.unmap()
    this.#owner.onUnmapped()
  }
}
