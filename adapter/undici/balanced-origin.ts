import type { SocketChoice } from '../client/index.ts'
import type { Exchange } from '../http1/index.ts'
import type { Origin, OriginOwner } from './origin.ts'

/** Makes the origin as it is behind one socket. */
export type OriginMaker = (path: string, owner: OriginOwner) => Origin

/**
 * An origin behind every socket of a directory, as an {@link Origin} each: requests go to the least
 * busy. What cannot be sent to one, because nobody listens there any more, goes to another.
 */
export class BalancedOrigin implements OriginOwner {
  readonly #choice: SocketChoice
  readonly #make: OriginMaker
  readonly #owner: OriginOwner
  readonly #onEmpty: () => void
  /** By socket path. */
  readonly #members = new Map<string, Origin>()
  readonly #active = new Set<Origin>()
  #connected = 0

  /** @param onEmpty nothing of it is open or to be done */
  constructor(choice: SocketChoice, owner: OriginOwner, make: OriginMaker, onEmpty: () => void) {
    this.#choice = choice
    this.#owner = owner
    this.#make = make
    this.#onEmpty = onEmpty
  }

  /**
   * Where the next request goes: to the directory itself, which fails, when it has no socket.
   *
   * @param preferred a socket, if it is one of ours
   */
  next(preferred?: string): Origin {
    const { directory } = this.#choice
    const known = preferred !== undefined && this.#members.has(preferred)
    const path = known ? preferred : (this.#choice.any(this.#load) ?? directory)
    this.#choice.took(path)
    return this.#member(path)
  }

  /** Nothing new goes to `path`. */
  leave(path: string): void {
    this.#members.delete(path)
  }

  emitOf(event: string, origin: URL, error?: Error): void {
    // As undici: those who asked one dispatcher know nothing of several servers.
    if (event === 'connect' && this.#connected++ > 0) return
    if (event === 'disconnect' && --this.#connected > 0) return
    if (error === undefined) this.#owner.emitOf(event, origin)
    else this.#owner.emitOf(event, origin, error)
  }

  emitError(error: unknown): void {
    this.#owner.emitError(error)
  }

  onConnected(path: string): void {
    this.#choice.worked(path)
  }

  canPassOn(path: string): boolean {
    const others = (other: string) => (other === path ? Number.POSITIVE_INFINITY : 0)
    return this.#choice.alive(others) !== undefined
  }

  passOn(exchange: Exchange, path: string): boolean {
    this.#choice.failed(path)
    const other = this.#choice.alive(this.#load)
    if (other === undefined) return false
    this.#member(other).pool.submit(exchange)
    return true
  }

  remember(origin: Origin): void {
    this.#active.add(origin)
    this.#owner.remember(origin)
  }

  forget(origin: Origin): void {
    this.#active.delete(origin)
    this.#owner.forget(origin)
    if (this.#active.size === 0) this.#onEmpty()
  }

  readonly #load = (path: string): number => this.#members.get(path)?.pool.load ?? 0

  #member(path: string): Origin {
    const known = this.#members.get(path)
    if (known !== undefined) return known
    const member = this.#make(path, this)
    this.#members.set(path, member)
    return member
  }
}
