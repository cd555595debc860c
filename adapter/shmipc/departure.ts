import { ProtocolError } from '../errors.ts'
import type { ControlChannel } from './control-channel.ts'

/** What must be done before the server is told that this client leaves. */
export type WaitUntil = (work: Promise<unknown>) => void

/** The session that is left. */
interface Leaver {
  readonly role: 'client' | 'server'
  readonly peer: 'shmesh' | 'shmipc'
  readonly closed: boolean
  emit(event: 'leave', waitUntil: WaitUntil): unknown
  destroy(error: Error): void
}

/** How a server has its client, plain or shmesh, leave a session: shmipc's hot restart. */
export class Departure {
  /** The server asked for no more streams. Client side. */
  asked = false
  readonly #session: Leaver
  readonly #control: ControlChannel
  readonly #successor: () => bigint
  /** Under which the client was asked. */
  #epoch = 0n
  #left: Promise<void> | undefined
  #whenLeft: (() => void) | undefined

  /** @param successor the epoch under which another server has the path; 0n while none has */
  constructor(session: Leaver, control: ControlChannel, successor: () => bigint) {
    this.#session = session
    this.#control = control
    this.#successor = successor
  }

  /**
   * Asks the client, once; resolves when it has agreed or the session is over. A plain client, which
   * dials the same path at once, is asked when another server has it.
   */
  begin(): Promise<void> {
    const { closed, role, peer } = this.#session
    if (closed || role === 'client') return Promise.resolve()
    const successor = this.#successor()
    if (peer === 'shmipc' && successor === 0n) return Promise.resolve()
    this.#left ??= new Promise<void>((resolve) => {
      this.#whenLeft = resolve
      this.#epoch = successor === 0n ? 1n : successor
      this.#control.sendHotRestart(this.#epoch)
    })
    return this.#left
  }

  /** The client agrees to what it was asked under this epoch. */
  onAgreed(epoch: bigint): void {
    if (epoch === this.#epoch) this.#whenLeft?.()
  }

  /** The server asks: it is answered when all that was given to `waitUntil` has settled. */
  onAsked(epoch: bigint): void {
    // Only a client is asked: for shmipc-go too the other way round is nonsense.
    if (this.#session.role === 'server') {
      this.#session.destroy(new ProtocolError('a client asked its server to leave'))
      return
    }
    this.asked = true
    const work: Promise<unknown>[] = []
    this.#session.emit('leave', (promise) => work.push(promise))
    if (work.length === 0) this.#agree(epoch)
    else Promise.allSettled(work).then(() => this.#agree(epoch))
  }

  #agree(epoch: bigint): void {
    if (!this.#session.closed) this.#control.sendHotRestartAck(epoch)
  }

  /** The session is over: there is nobody left to agree. */
  over(): void {
    this.#whenLeft?.()
  }
}
