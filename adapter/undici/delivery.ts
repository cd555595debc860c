import type { Headers, Lease } from '../http1/index.ts'
import { channels } from './diagnostics.ts'
import type { Listener } from './listener.ts'

/** A larger chunk is copied in pieces as large as those of a socket, as consumers know them. */
const MAX_COPY_BYTES = 64 * 1024

/** Who is told how a delivery goes. */
export interface DeliveryOwner {
  /** Nobody wants more of it. */
  readonly aborted: boolean
  /** Something is handed over: the next may take its time from here on. */
  onDelivery(): void
  /** All of it has been handed over. */
  onDelivered(trailers: Headers): void
  /** Stops the delivery, on the listener's behalf. */
  pause(): void
  /** The listener has thrown. */
  onListenerFailed(error: Error): void
}

/** A response's body on its way to a listener; what comes while that is paused waits here. */
export class Delivery {
  paused = false
  /** Of what has come, in bytes. */
  received = 0
  readonly #owner: DeliveryOwner
  readonly #listener: Listener
  /** An end is last. */
  #held: (Buffer | Headers)[] | undefined

  constructor(owner: DeliveryOwner, listener: Listener) {
    this.#owner = owner
    this.#listener = listener
  }

  /** @param lease see `Exchange.onBody` */
  add(chunk: Buffer, lease: Lease | undefined): void {
    if (lease === undefined) {
      this.#deliver(chunk)
      return
    }
    if (!this.paused && this.#view(chunk, lease)) return
    // The handler may keep it: what is lent ends with this call.
    for (let at = 0; at < chunk.length && !this.#owner.aborted; at += MAX_COPY_BYTES) {
      this.#deliver(Buffer.from(chunk.subarray(at, at + MAX_COPY_BYTES)))
    }
  }

  end(trailers: Headers): void {
    if (this.#held === undefined && !this.paused) this.#owner.onDelivered(trailers)
    else this.#hold(trailers)
  }

  /** What waits is delivered, until the listener pauses again. */
  resume(): void {
    this.paused = false
    while (this.#held !== undefined && !this.paused && !this.#owner.aborted) {
      const next = this.#held.shift() as Buffer | Headers
      if (this.#held.length === 0) this.#held = undefined
      if (Array.isArray(next)) this.#owner.onDelivered(next)
      else this.#data(next)
    }
  }

  /** What waits is not wanted any more. */
  drop(): void {
    this.#held = undefined
  }

  #deliver(chunk: Buffer): void {
    if (this.paused) {
      this.#hold(chunk)
      return
    }
    this.#owner.onDelivery()
    this.#data(chunk)
  }

  #hold(next: Buffer | Headers): void {
    this.#held ??= []
    this.#held.push(next)
  }

  /** @returns false when the handler takes no views */
  #view(chunk: Buffer, lease: Lease): boolean {
    try {
      if (!this.#listener.view(chunk, lease)) return false
      this.#owner.onDelivery()
    } catch (error) {
      this.#owner.onListenerFailed(error as Error)
    }
    return true
  }

  #data(chunk: Buffer): void {
    if (channels.bodyChunkReceived.hasSubscribers) {
      channels.bodyChunkReceived.publish({ request: this.#owner, chunk })
    }
    try {
      if (!this.#listener.data(chunk)) this.#owner.pause()
    } catch (error) {
      this.#owner.onListenerFailed(error as Error)
    }
  }
}
