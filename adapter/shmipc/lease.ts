/**
 * The right to read a view of shared memory. Begins held once, by whoever hands it out; ends when
 * every hold has been dropped, and the slice goes back to the peer.
 */
export class Lease {
  readonly #end: () => void
  #holds = 1

  /** @internal */
  constructor(end: () => void) {
    this.#end = end
  }

  /** One more reader; it calls {@link drop} once. */
  hold(): void {
    this.#holds++
  }

  /** Bound, so that it can be a write's callback. */
  readonly drop = (): void => {
    if (--this.#holds === 0) this.#end()
  }
}
