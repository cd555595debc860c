import { Duplex } from 'node:stream'
import { InvalidArgumentError } from '../errors.ts'
import { IdleTimer } from './idle-timer.ts'

/** A Duplex with what code written for a connected `net.Socket` reads and calls beside that. */
export class SocketLike extends Duplex {
  // As a Unix socket has them.
  readonly remoteAddress: undefined
  readonly remotePort: undefined
  readonly remoteFamily: undefined
  readonly encrypted: undefined

  #timeout = 0
  #idleTimer: IdleTimer | undefined

  /** Never: a stream is there to be written to from the beginning. */
  get connecting(): false {
    return false
  }

  /** As {@link connecting}. */
  get pending(): false {
    return false
  }

  /** As `net.Socket`'s: which of the two directions are open. */
  get readyState(): 'open' | 'readOnly' | 'writeOnly' | 'closed' {
    if (this.readable) return this.writable ? 'open' : 'readOnly'
    return this.writable ? 'writeOnly' : 'closed'
  }

  /** What {@link setTimeout} was given last, in milliseconds. */
  get timeout(): number {
    return this.#timeout
  }

  /**
   * As `net.Socket`'s: 'timeout' when nothing was read or written for `ms` milliseconds. Not while
   * somebody else has taken it over.
   *
   * @param ms 0: never
   * @param onTimeout for the next 'timeout'
   */
  setTimeout(ms: number, onTimeout?: () => void): this {
    if (!Number.isFinite(ms) || ms < 0) {
      throw new InvalidArgumentError('ms', 'a number of milliseconds of at least 0', ms)
    }
    this.#timeout = ms
    this.#idleTimer ??= new IdleTimer(() => this.emit('timeout'))
    if (!this.destroyed) this.#idleTimer.set(ms)
    if (onTimeout === undefined) return this
    return ms === 0 ? this.off('timeout', onTimeout) : this.once('timeout', onTimeout)
  }

  /** Something was read or written. */
  protected moved(): void {
    this.#idleTimer?.refresh()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#idleTimer?.set(0)
    done(error)
  }

  /** As `net.Socket`'s of a Unix socket, which has none either. */
  address(): Record<string, never> {
    return {}
  }

  setKeepAlive(): this {
    return this
  }

  setNoDelay(): this {
    return this
  }

  /** As `net.Socket`'s: ends, and destroys when all is written. */
  destroySoon(): void {
    if (this.writable) this.end()
    if (this.writableFinished) this.destroy()
    else this.once('finish', () => this.destroy())
  }

  /** As {@link destroy}, which is a reset for a peer that has not ended. */
  resetAndDestroy(): this {
    return this.destroy()
  }
}
