import { Lease, type Lender } from './lease.ts'
import type { ShmSession } from './session.ts'
import type { SliceRef } from './slice-ref.ts'
import { Status } from './status.ts'

/**
 * What the owner of a stream is lent of shared memory, and the credit its sender gets: for bytes
 * that have left shared memory, or the private memory that a window bounds.
 */
export class ReceiveWindow implements Lender {
  readonly session: ShmSession
  readonly id: number
  /** How often {@link settle} was called while bytes were lent. */
  message = 0
  /** The sender returns to the ring when all is credited: give credit at once. */
  peerFellBack = false
  /** Slices whose views are with the owner. */
  leases = 0
  /** Bytes of those that are not credited. */
  #lent = 0
  /** Consumed and not yet credited, bytes. */
  #uncredited = 0
  /** Most messages are read within the call that tells of them: one lease serves them all. */
  #spare: Lease | undefined
  #closed = false

  constructor(session: ShmSession, id: number) {
    this.session = session
    this.id = id
  }

  /** For the owner to read; it ends with `returned`. */
  lend(view: Buffer, slice: SliceRef): Lease {
    this.leases++
    this.#lent += view.length
    this.session.borrowed.lend()
    const lease = this.#spare ?? new Lease(this)
    this.#spare = undefined
    lease.begin(slice, view.length)
    return lease
  }

  /** The call `lease` was handed out for is over. */
  endLease(lease: Lease): void {
    lease.release()
    if (!lease.known) this.#spare = lease
  }

  /** A lease ended. */
  returned(slice: SliceRef, bytes: number, message: number): void {
    this.leases--
    this.session.borrowed.returned(slice)
    if (message !== this.message) return
    this.#lent -= bytes
    this.consumed(bytes)
  }

  /** Bytes of the stream need no memory any more. */
  consumed(bytes: number): void {
    if (this.#closed || this.session.peer !== 'shmesh') return
    this.#uncredited += bytes
    if (this.#uncredited < this.session.creditBytes && !this.peerFellBack) return
    const credit = this.#uncredited
    this.#uncredited = 0
    this.session.outbox.signal(this.id, Status.credit, credit)
  }

  /** See `Channel.settle`. */
  settle(): void {
    if (this.#lent === 0) return
    const lent = this.#lent
    this.#lent = 0
    this.message++
    this.consumed(lent)
  }

  /** Gives no more credit. */
  close(): void {
    this.#closed = true
  }
}
