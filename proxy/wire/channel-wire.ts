import type { Channel, HeldSlice, Lease, ShmStream } from '../../adapter/shmipc/index.ts'
import { Leg } from './leg.ts'
import type { Wire, WireOwner } from './wire.ts'

/** More than this waiting is too much. As `net.Socket`'s high-water mark. */
const HIGH_WATER_BYTES = 64 * 1024

/** A stream of a shared-memory session. */
export class ChannelWire implements Wire {
  readonly leg: Leg
  readonly remoteAddress = ''
  readonly #stream: ShmStream
  readonly #channel: Channel

  /** What has arrived already is told at once. */
  constructor(stream: ShmStream, owner: WireOwner) {
    this.#stream = stream
    this.leg = new Leg(stream, 'shm')
    this.#channel = stream.takeOver(owner)
  }

  get owner(): WireOwner {
    return this.#channel.owner
  }

  set owner(owner: WireOwner) {
    this.#channel.owner = owner
  }

  get closed(): boolean {
    return this.#stream.destroyed
  }

  get retiring(): boolean {
    return this.#stream.retiring
  }

  get blocked(): boolean {
    return this.#channel.writableLength > HIGH_WATER_BYTES
  }

  get backlog(): number {
    return this.#channel.writableLength
  }

  write(before: string, body: Buffer | undefined, after: string, lease: Lease | undefined): void {
    if (body === undefined || lease?.mayHold !== true) {
      this.#channel.writeCopied(before, body, after)
      return
    }
    lease.hold()
    this.#channel.write(before, body, 'latin1', after, lease.drop)
  }

  /** A slice with room for `bytes` in one piece, when the peer's memory has one to spare. */
  hold(bytes: number): HeldSlice | undefined {
    return this.#channel.hold(bytes)
  }

  /**
   * The same as soon as there is one.
   *
   * @param given is called later, once, unless the session ends: with `undefined` when none comes back
   * @returns makes it forget who waits
   */
  holdSoon(bytes: number, given: (held: HeldSlice | undefined) => void): () => void {
    return this.#channel.holdSoon(bytes, given)
  }

  /** Sends the first `bytes` of it, behind what was written, without a copy. */
  writeHeld(held: HeldSlice, bytes: number): void {
    this.#channel.writeHeld(held, bytes)
  }

  end(): void {
    this.#channel.end()
  }

  pause(): void {
    this.#channel.pause()
  }

  resume(): void {
    this.#channel.resume()
  }

  settle(): void {
    this.#channel.settle()
  }

  destroy(error?: Error): void {
    this.#stream.destroy(error)
  }

  reset(error: Error): void {
    this.#stream.destroy(error)
  }
}
