import type { Holding } from './leak-watch.ts'
import type { ShmSession } from './session.ts'
import type { SliceRef } from './slice-ref.ts'

/** Who takes back what a lease lent. */
export interface Lender {
  readonly session: ShmSession
  /** Of its stream. */
  readonly id: number
  /** Counts the messages its reader has been through. */
  readonly message: number
  returned(slice: SliceRef, bytes: number, message: number): void
}

/**
 * The right to read a view of shared memory. Begins held once, by whoever hands it out; ends when
 * every hold has been dropped, and the slice goes back to the peer.
 */
export class Lease implements Holding {
  readonly kind = 'lease'
  bytes = 0
  /** @internal */ since = 0
  /** @internal */ stack: string | undefined = undefined
  readonly #lender: Lender
  #slice: SliceRef = 0
  /** Of the lender's messages the one it is a part of. */
  #message = 0
  /** @internal Somebody may know it after the call it was handed out in. */
  known = false
  #holds = 1
  /** It outlives the call it was handed out in, and counts as memory that others cannot use. */
  #held = false
  #drop: (() => void) | undefined
  /** What `detachable` has handed out. */
  #detachable: ArrayBuffer[] | undefined

  /** @internal */
  constructor(lender: Lender) {
    this.#lender = lender
  }

  /** @internal Over a slice, held once. A lease nobody has held may begin again. */
  begin(slice: SliceRef, bytes: number): void {
    this.#slice = slice
    this.bytes = bytes
    this.#message = this.#lender.message
    this.#holds = 1
  }

  /**
   * Whether it can be held for long, by a slow reader say, without others going short of shared
   * memory. Who gets false should copy the bytes instead.
   */
  get mayHold(): boolean {
    return this.#lender.session.borrowed.mayHold(this.#held ? 0 : this.bytes)
  }

  /** One more reader; it calls {@link release} or {@link drop} once. */
  hold(): void {
    this.known = true
    this.#holds++
    if (!this.#held) {
      this.#held = true
      this.#lender.session.borrowed.hold(this.bytes)
    }
    // From here on it may outlive the call it was handed out in.
    if (this.since === 0) this.#lender.session.leaks.take(this)
  }

  get streamId(): number {
    return this.#lender.id
  }

  release(): void {
    if (--this.#holds > 0) return
    if (this.#held) {
      this.#held = false
      this.#lender.session.borrowed.unhold(this.bytes)
    }
    if (this.since !== 0) this.#lender.session.leaks.drop(this)
    if (this.#detachable !== undefined) this.#takeBack(this.#detachable)
    this.#lender.returned(this.#slice, this.bytes, this.#message)
  }

  /**
   * The bytes of `view`, a part of what was lent, for code that may keep them too long: whoever
   * still has this Buffer when the lease ends sees an empty one, and never another's bytes. Costs a
   * few microseconds; not for small chunks.
   */
  detachable(view: Buffer): Buffer {
    this.known = true
    const { session } = this.#lender
    // Its end has come in between: nobody can take the bytes away any more.
    if (session.closed) return Buffer.from(view)
    const memory = session.native.expose(view.byteOffset, view.length)
    this.#detachable ??= []
    this.#detachable.push(memory)
    return Buffer.from(memory)
  }

  #takeBack(memories: readonly ArrayBuffer[]): void {
    for (const memory of memories) this.#lender.session.native.detach(memory)
  }

  /** {@link release}, bound, so that it can be a write's callback. */
  get drop(): () => void {
    this.known = true
    this.#drop ??= () => this.release()
    return this.#drop
  }
}
