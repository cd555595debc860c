import type { Channel } from './channel.ts'

/** Streams found without a search, a power of two: ids are dense, those in use at once are near. */
const NEAR = 256

/** The streams of a session by id, and the ids that must not be taken for new ones. */
export class StreamTable {
  readonly #channels = new Map<number, Channel>()
  /** By the low bits of the id: whoever was asked for last. */
  readonly #near: (Channel | undefined)[] = new Array(NEAR).fill(undefined)
  /** Reset by us, not yet ended by the peer: late data of these is dropped, not a new stream. */
  readonly #resetIds = new Set<number>()
  // shmipc counts from 1 and adds before use.
  #lastId = 1

  get size(): number {
    return this.#channels.size
  }

  /** An id no stream has. */
  nextId(): number {
    do {
      this.#lastId = (this.#lastId + 1) >>> 0
    } while (this.#channels.has(this.#lastId) || this.#resetIds.has(this.#lastId))
    return this.#lastId
  }

  get(id: number): Channel | undefined {
    const near = this.#near[id & (NEAR - 1)]
    if (near?.id === id) return near
    const found = this.#channels.get(id)
    if (found !== undefined) this.#near[id & (NEAR - 1)] = found
    return found
  }

  add(channel: Channel): void {
    this.#channels.set(channel.id, channel)
  }

  /**
   * Returns false when it was not there.
   *
   * @param reset we ended it first, the peer may still be sending
   */
  remove(id: number, reset: boolean): boolean {
    if (!this.#channels.delete(id)) return false
    if (this.#near[id & (NEAR - 1)]?.id === id) this.#near[id & (NEAR - 1)] = undefined
    if (reset) this.#resetIds.add(id)
    return true
  }

  /** We have reset it, and the peer has not answered yet. */
  isReset(id: number): boolean {
    return this.#resetIds.has(id)
  }

  /** The peer has ended `id`. Returns true when that was the answer to our reset. */
  settleReset(id: number): boolean {
    return this.#resetIds.delete(id)
  }

  /** All channels, in an array of their own. */
  all(): Channel[] {
    return [...this.#channels.values()]
  }

  clear(): void {
    this.#channels.clear()
    this.#near.fill(undefined)
    this.#resetIds.clear()
  }
}
