/** What must be done before the server is told that this client leaves. */
export type WaitUntil = (work: Promise<unknown>) => void

/**
 * The client's half: `agree` when all that `tell`'s listeners give to `waitUntil` has settled, at
 * once when that is nothing.
 */
export function agreeToLeave(tell: (waitUntil: WaitUntil) => void, agree: () => void): void {
  const work: Promise<unknown>[] = []
  tell((promise) => work.push(promise))
  if (work.length === 0) agree()
  else Promise.allSettled(work).then(agree)
}

/** The server's half, towards a plain or a shmesh client: shmipc's hot restart. */
export class Departure {
  readonly #successor: () => bigint
  readonly #ask: (epoch: bigint) => void
  /** Under which the client was asked. */
  #epoch = 0n
  #left: Promise<void> | undefined
  #whenLeft: (() => void) | undefined

  /**
   * @param successor the epoch under which another server has the path; 0n while none has
   * @param ask tells the client
   */
  constructor(successor: () => bigint, ask: (epoch: bigint) => void) {
    this.#successor = successor
    this.#ask = ask
  }

  /**
   * Asks once; resolves when the client has agreed. A plain client, which dials the same path at
   * once, is asked when another server has it.
   */
  begin(peer: 'shmesh' | 'shmipc'): Promise<void> {
    const successor = this.#successor()
    if (peer === 'shmipc' && successor === 0n) return Promise.resolve()
    this.#left ??= new Promise<void>((resolve) => {
      this.#whenLeft = resolve
      this.#epoch = successor === 0n ? 1n : successor
      this.#ask(this.#epoch)
    })
    return this.#left
  }

  /** The client agrees to what it was asked under this epoch. */
  agreed(epoch: bigint): void {
    if (epoch === this.#epoch) this.#whenLeft?.()
  }

  /** The session is over: there is nobody left to agree. */
  over(): void {
    this.#whenLeft?.()
  }
}
