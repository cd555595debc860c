import type { Channel } from './channel.ts'

/** The streams of a session by id, and the ids that must not be taken for new ones. */
export class StreamTable {
  readonly #channels = new Map<number, Channel>()
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
    return this.#channels.get(id)
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
    this.#resetIds.clear()
  }
}
