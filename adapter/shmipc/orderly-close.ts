import { delivered } from './delivery.ts'
import type { Outbox } from './outbox.ts'

/** The session that closes. */
interface Closing {
  readonly role: 'client' | 'server'
  readonly peer: 'shmesh' | 'shmipc'
  readonly closed: boolean
  readonly streams: number
  readonly outbox: Outbox
  leave(): Promise<void>
  destroy(): void
}

/** How a session ends that is not destroyed: its streams end first, and the peer has all of them. */
export class OrderlyClose {
  /** It opens and takes no more streams. */
  begun = false
  readonly #session: Closing
  /** Of calls that wait for the last stream. */
  readonly #whenEmpty: (() => void)[] = []

  constructor(session: Closing) {
    this.#session = session
  }

  /** Resolves when the session is over. May be called more than once. */
  async run(): Promise<void> {
    const session = this.#session
    // What the client opened before it agreed to leave is served.
    if (session.role === 'server') await session.leave()
    if (session.closed) return
    this.begun = true
    if (this.#busy) {
      await new Promise<void>((resolve) => {
        this.#whenEmpty.push(resolve)
      })
    }
    await this.delivered()
    session.destroy()
  }

  /** See `ShmSession.delivered`. */
  async delivered(): Promise<void> {
    if (this.#session.peer === 'shmipc') await delivered(this.#session)
  }

  /** A stream has ended, or all that waited has been sent. */
  check(): void {
    if (!this.#busy) this.over()
  }

  /** There is nothing left to wait for. */
  over(): void {
    for (const tell of this.#whenEmpty.splice(0)) tell()
  }

  /** Something of a stream is still to be told to the peer, or to come from it. */
  get #busy(): boolean {
    return this.#session.streams + this.#session.outbox.waiting > 0
  }
}
