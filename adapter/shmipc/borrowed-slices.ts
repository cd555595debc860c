import type { NativeSession } from '../../native/index.ts'
import { Lease, type Lender } from './lease.ts'
import type { Loan, SliceRef } from './slice-ref.ts'

/** Of what the peer may allocate, what undelivered bytes may occupy; beyond it they are copied out. */
const MAX_KEPT_SHARE = 1 / 2

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
  readonly #owner: BorrowedSlicesOwner
  /** Slices whose views are with a consumer. */
  #leases = 0
  /** Bytes that wait in shared memory for their owners to read on. */
  #keptBytes = 0
  #ended = false

  /** @param budget payload bytes the peer may allocate */
  constructor(native: NativeSession, budget: number, owner: BorrowedSlicesOwner) {
    this.#native = native
    this.#maxKeptBytes = budget * MAX_KEPT_SHARE
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
    return this.#keptBytes + bytes <= this.#maxKeptBytes
  }

  keep(bytes: number): void {
    this.#keptBytes += bytes
  }

  unkeep(bytes: number): void {
    this.#keptBytes -= bytes
  }

  lend(lender: Lender, slice: SliceRef, bytes: number): Lease {
    this.#leases++
    return new Lease(lender, slice, bytes)
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
      this.#native.release(slice)
      return
    }
    this.#native.release(slice.slice)
    if (--slice.loan.left === 0) this.#owner.onLoanRead(slice.loan)
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
