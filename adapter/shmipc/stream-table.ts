import type { Channel } from './channel.ts'

/** Streams found without a search, a power of two: ids are dense, those in use at once are near. */
const NEAR = 256
/** A plain shmipc peer does not answer a close: so many closed ids are remembered, the latest. */
const MAX_CLOSED = 16 * 1024

/** The streams of a session by id, and the ids that must not be taken for new ones. */
export class StreamTable {
  readonly #channels = new Map<number, Channel>()
  /** By the low bits of the id: whoever was asked for last. */
  readonly #near: (Channel | undefined)[] = new Array(NEAR).fill(undefined)
  /** Ended by us, not yet by the peer: late data of these is dropped, not a new stream. */
  readonly #resetIds = new Set<number>()
  readonly #answers: boolean
  // shmipc counts from 1 and adds before use.
  #lastId = 1

  /** @param answers whether the peer answers each reset of ours with its own end */
  constructor(answers: boolean) {
    this.#answers = answers
  }

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
    if (reset) this.#rememberReset(id)
    return true
  }

  #rememberReset(id: number): void {
    this.#resetIds.add(id)
    if (this.#answers || this.#resetIds.size <= MAX_CLOSED) return
    // A Set keeps the order of insertion.
    for (const oldest of this.#resetIds) {
      this.#resetIds.delete(oldest)
      return
    }
  }

  /** We have ended it, and the peer has not answered yet. */
  isReset(id: number): boolean {
    return this.#resetIds.has(id)
  }

  /** The peer has ended `id`. Returns true when that was over for us. */
  settleReset(id: number): boolean {
    return this.#answers ? this.#resetIds.delete(id) : this.#resetIds.has(id)
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
