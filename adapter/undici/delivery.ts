import type { Readable } from 'node:stream'
import { BodyMemory, type Headers, type Lease } from '../http1/index.ts'
import { noteBuffers } from '../scavenges.ts'
import { channels } from './diagnostics.ts'
import { bodyOf, readerOf } from './gathered-body.ts'
import type { Reader } from './gathering-rehearsal.ts'
import type { Listener } from './listener.ts'

/** A larger chunk is copied in pieces as large as those of a socket, as consumers know them. */
const MAX_COPY_BYTES = 64 * 1024
/** Below, a copy costs less than to wait for the reader. */
const MIN_LENT_BYTES = 64 * 1024

/** Where bodies are decoded. */
const memory = new BodyMemory()

/** A body that came whole, where it arrived. Its reader is expected in this turn of the loop. */
interface WaitingBody {
  readonly chunk: Buffer
  readonly lease: Lease
  /** What it is read from. */
  readonly body: Readable
}

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
  /** Ends that. */
  resume(): void
  /** The listener has thrown. */
  onListenerFailed(error: Error): void
}

/** A response's body on its way to a listener; what comes while that is paused waits here. */
export class Delivery {
  paused = false
  /** Of what has come, in bytes. */
  received = 0
  /** Of all that will come, in bytes; undefined when it is not known. */
  length: number | undefined
  readonly #owner: DeliveryOwner
  readonly #listener: Listener
  readonly #handler: object
  /** An end is last. */
  #held: (Buffer | WaitingBody | Headers)[] | undefined

  /** @param handler whom `listener` tells */
  constructor(owner: DeliveryOwner, listener: Listener, handler: object) {
    this.#owner = owner
    this.#listener = listener
    this.#handler = handler
  }

  /** @param lease see `Exchange.onBody` */
  add(chunk: Buffer, lease: Lease | undefined): void {
    if (lease === undefined) {
      this.#deliver(chunk)
      return
    }
    if (!this.paused && (this.#view(chunk, lease) || this.#wait(chunk, lease))) return
    // The handler may keep it: what is lent ends with this call.
    for (const piece of copied(chunk)) {
      if (this.#owner.aborted) return
      this.#deliver(piece)
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
      const next = this.#held.shift() as Buffer | WaitingBody | Headers
      if (this.#held.length === 0) this.#held = undefined
      if (Array.isArray(next)) this.#owner.onDelivered(next)
      else if (Buffer.isBuffer(next)) this.#data(next)
      else if (!this.#lend(next)) {
        this.#held = [...copied(next.chunk), ...(this.#held ?? [])]
        next.lease.drop()
      }
    }
  }

  /** What waits is not wanted any more. */
  drop(): void {
    const [first] = this.#held ?? []
    this.#held = undefined
    if (first !== undefined && 'lease' in first) first.lease.drop()
  }

  #deliver(chunk: Buffer): void {
    if (this.paused) {
      this.#hold(chunk)
      return
    }
    this.#owner.onDelivery()
    this.#data(chunk)
  }

  #hold(next: Buffer | WaitingBody | Headers): void {
    this.#held ??= []
    this.#held.push(next)
  }

  /** @returns false when its reader cannot be lent it */
  #wait(chunk: Buffer, lease: Lease): boolean {
    if (chunk.length !== this.length || chunk.length < MIN_LENT_BYTES || !lease.mayHold)
      return false
    const body = bodyOf(this.#handler)
    if (body === undefined) return false
    lease.hold()
    const waiting = { chunk, lease, body }
    if (this.#lend(waiting)) return true
    this.#hold(waiting)
    this.#owner.pause()
    setImmediate(() => {
      if (this.#held?.[0] === waiting) this.#owner.resume()
    })
    return true
  }

  /** @returns false when somebody may keep what the body is given */
  #lend({ chunk, lease, body }: WaitingBody): boolean {
    // Whoever subscribes to chunks may keep them.
    const reader = channels.bodyChunkReceived.hasSubscribers ? undefined : readerOf(body)
    if (reader === undefined) return false
    // What the reader makes of it.
    noteBuffers(chunk.length)
    if (decodes(reader)) {
      const copy = memory.take(chunk.length)
      body.once('close', () => memory.giveBack(copy))
      const bytes = Buffer.from(copy, 0, chunk.length)
      chunk.copy(bytes)
      lease.drop()
      this.#data(bytes)
    } else {
      body.once('close', lease.drop)
      this.#data(chunk)
    }
    return true
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

/**
 * V8 reads UTF-8 twice, once for its length: the peer must not be able to change it in between. The
 * others read each byte once.
 */
function decodes(reader: Reader): boolean {
  return reader === 'text' || reader === 'json'
}

function* copied(chunk: Buffer): Generator<Buffer> {
  noteBuffers(chunk.length)
  for (let at = 0; at < chunk.length; at += MAX_COPY_BYTES) {
    yield Buffer.from(chunk.subarray(at, at + MAX_COPY_BYTES))
  }
}
