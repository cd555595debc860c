import type { Channel } from './channel.ts'
import type { ReceiveWindow } from './receive-window.ts'
import type { SliceRef } from './slice-ref.ts'

/** Below, what cannot be delivered is copied out: it would hold a slice much larger than itself. */
const MIN_KEPT_BYTES = 16 * 1024
/** Small copies are gathered in blocks of this size: many tiny messages cost what few large ones do. */
const BLOCK_BYTES = 16 * 1024

interface Pending {
  /** A view of shared memory, or a block of private memory. */
  readonly memory: Buffer
  /** Bytes of `memory` that have arrived. */
  used: number
  /** The slice `memory` is a view of; undefined when it is private. */
  readonly slice: SliceRef | undefined
}

/**
 * What has arrived on a channel and was not delivered, because its owner is paused or an earlier
 * chunk is being delivered. In shared memory while the session has slices to spare, else copied
 * out; bounded by the window either way.
 */
export class Inbox {
  readonly #channel: Channel
  readonly #window: ReceiveWindow
  readonly #pending: Pending[] = []
  /** The owner has been told that no more comes. */
  ended = false
  /** Bytes that wait. */
  bytes = 0
  #ending = false
  #paused = false
  #delivering = false

  constructor(channel: Channel, window: ReceiveWindow) {
    this.#channel = channel
    this.#window = window
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#deliverPending()
  }

  addView(view: Buffer, slice: SliceRef): void {
    const { session } = this.#channel
    if (this.#free) this.#deliverNow(view, slice)
    else if (view.length >= MIN_KEPT_BYTES && session.borrowed.mayKeep(view.length)) {
      session.borrowed.keep(view.length)
      this.#push({ memory: view, used: view.length, slice })
    } else {
      this.#copy(view)
      session.borrowed.release(slice)
    }
  }

  /** @param chunk private memory */
  addChunk(chunk: Buffer): void {
    if (this.#free) this.#deliverNow(chunk, undefined)
    else if (chunk.length < BLOCK_BYTES) this.#copy(chunk)
    else this.#push({ memory: chunk, used: chunk.length, slice: undefined })
  }

  addEnd(): void {
    this.#ending = true
    this.#deliverPending()
  }

  /** Slices they wait in. */
  get slices(): number {
    return this.#pending.reduce((sum, { slice }) => sum + (slice === undefined ? 0 : 1), 0)
  }

  /** Nothing waits in shared memory after this. */
  copyOut(): void {
    const pending = this.#pending.splice(0)
    for (const { memory, used, slice } of pending) {
      const copy = slice === undefined ? memory : Buffer.from(memory)
      this.#pending.push({ memory: copy, used, slice: undefined })
      this.#letGo(slice, used)
    }
  }

  /** Nobody will read it. */
  clear(): void {
    this.#ending = false
    this.bytes = 0
    for (const { slice, used } of this.#pending.splice(0)) this.#letGo(slice, used)
  }

  #letGo(slice: SliceRef | undefined, bytes: number): void {
    if (slice === undefined) return
    this.#channel.session.borrowed.unkeep(bytes)
    this.#channel.session.borrowed.release(slice)
  }

  #push(pending: Pending): void {
    this.#pending.push(pending)
    this.bytes += pending.used
  }

  get #free(): boolean {
    return !this.#paused && !this.#delivering && this.#pending.length === 0
  }

  #copy(chunk: Buffer): void {
    let last = this.#pending.at(-1)
    if (
      last === undefined ||
      last.slice !== undefined ||
      last.memory.length - last.used < chunk.length
    ) {
      const memory = Buffer.allocUnsafeSlow(Math.max(chunk.length, BLOCK_BYTES))
      last = { memory, used: 0, slice: undefined }
      this.#pending.push(last)
    }
    last.used += chunk.copy(last.memory, last.used)
    this.bytes += chunk.length
  }

  #deliverNow(chunk: Buffer, slice: SliceRef | undefined): void {
    try {
      this.#deliver(chunk, slice)
    } finally {
      // Arrived, or ended, while that was delivered.
      if (this.#pending.length > 0 || this.#ending) this.#deliverPending()
    }
  }

  #deliverPending(): void {
    if (this.#delivering) return
    let threw = true
    try {
      while (!this.#paused) {
        const next = this.#pending.shift()
        if (next === undefined) break
        this.bytes -= next.used
        if (next.slice !== undefined) this.#channel.session.borrowed.unkeep(next.used)
        this.#deliver(next.memory.subarray(0, next.used), next.slice)
      }
      threw = false
    } finally {
      // A listener threw: what follows has no second copy.
      if (threw) process.nextTick(() => this.#deliverPending())
    }
    if (!this.#ending || this.#pending.length > 0) return
    this.#ending = false
    this.ended = true
    this.#channel.owner.onEnd()
    this.#channel.onRead()
  }

  #deliver(arrived: Buffer, ref: SliceRef | undefined): void {
    const channel = this.#channel
    let chunk = arrived
    let slice = ref
    if (!channel.session.sealed) {
      // Nobody else sees memory the peer can cut off.
      if (slice !== undefined) {
        chunk = Buffer.from(arrived)
        channel.session.borrowed.release(slice)
        slice = undefined
      }
      if (!channel.session.native.intact()) return
    }
    const lease = slice === undefined ? undefined : this.#window.lend(chunk, slice)
    this.#delivering = true
    try {
      channel.owner.onBytes(chunk, lease)
    } finally {
      this.#delivering = false
      if (lease === undefined) this.#window.consumed(chunk.length)
      else this.#window.endLease(lease)
    }
  }
}
