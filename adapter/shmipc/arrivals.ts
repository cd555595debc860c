import type { Channel } from './channel.ts'
import type { Loan, SliceRef } from './slice-ref.ts'
import { Status } from './status.ts'

/** Word positions of one drained event; slices follow, three words each. */
const EVENT_WORDS = 4
const SLICE_WORDS = 3

/** Whom arrived events concern. */
export interface ArrivalTarget {
  readonly closed: boolean
  /** The channel a message is for; opened when the peer may open it. */
  channelFor(id: number): Channel | undefined
  onCredit(id: number, bytes: number): void
  onLendDone(first: number): void
  onEnd(id: number, status: Status): void
  release(slice: SliceRef): void
}

/** Tells apart what the core has drained from the ring and checked. */
export class Arrivals {
  readonly #target: ArrivalTarget
  readonly #memory: Buffer
  readonly #words: Uint32Array

  /** @param words where the core puts what it drains */
  constructor(target: ArrivalTarget, memory: Buffer, words: Uint32Array) {
    this.#target = target
    this.#memory = memory
    this.#words = words
  }

  /** Delivers the events in the words from `from` to `used`. */
  deliver(used: number, from = 0): void {
    const words = this.#words
    let at = from
    try {
      while (at < used && !this.#target.closed) {
        const event = at
        at += EVENT_WORDS + SLICE_WORDS * words[event + 3]!
        this.#onEvent(event)
      }
    } finally {
      // A listener threw: what follows is other streams', and there is no second copy of it.
      if (at < used && !this.#target.closed) this.deliver(used, at)
    }
  }

  #onEvent(at: number): void {
    const id = this.#words[at]!
    const status = this.#words[at + 1]! as Status
    const value = this.#words[at + 2]!
    if (status === Status.data) this.#onMessage(id, at, undefined)
    else if (status === Status.credit) this.#target.onCredit(id, value)
    else if (status === Status.lendDone) this.#target.onLendDone(value)
    else if (status === Status.lend) {
      this.#onMessage(id, at, { stream: id, first: value, left: this.#words[at + 3]! })
    } else this.#target.onEnd(id, status)
  }

  #onMessage(id: number, event: number, loan: Loan | undefined): void {
    const channel = this.#target.channelFor(id)
    const first = event + EVENT_WORDS
    this.#onSlices(channel, first, first + SLICE_WORDS * this.#words[event + 3]!, loan)
  }

  #onSlices(channel: Channel | undefined, first: number, end: number, loan: Loan | undefined) {
    const words = this.#words
    let at = first
    try {
      // Whoever takes a slice may end the session, and the memory with it.
      while (at < end && !this.#target.closed) {
        const slice = words[at]!
        const payload = words[at + 1]!
        const bytes = words[at + 2]!
        at += SLICE_WORDS
        const ref = loan === undefined ? slice : { slice, loan }
        if (channel === undefined || bytes === 0) this.#target.release(ref)
        else channel.onView(this.#memory.subarray(payload, payload + bytes), ref)
      }
    } finally {
      // A listener threw: what follows has no second copy.
      if (at < end && !this.#target.closed) this.#onSlices(channel, at, end, loan)
    }
  }
}
