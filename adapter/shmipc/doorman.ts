import { closeSync } from 'node:fs'
import type { Addon, NativeDoorman, NativeSession } from '../../native/index.ts'
import { ShmError } from '../errors.ts'
import { answerInspector } from './inspection.ts'

/** What becomes of the connections a listener accepts. */
export interface Guests {
  onSession(session: NativeSession): void
  /** Somebody who does not speak shmipc; the callee owns the descriptor. */
  onPlain(fd: number): void
  /** A handshake that failed. */
  onRefused(reason: string): void
}

/** A dialled handshake that failed. `errno` is not 0 when nobody listens at all. */
export interface DialFailure {
  readonly reason: string
  readonly errno: number
}

/**
 * The native thread that accepts and shakes hands: one per thread of JavaScript, started when first
 * needed, kept until the end.
 */
class Doorman {
  readonly #native: NativeDoorman
  readonly #listeners = new Map<number, Guests>()
  readonly #calls = new Map<number, (session: NativeSession | null, failure: DialFailure) => void>()
  #lastId = 0

  constructor(addon: Addon) {
    this.#native = new addon.Doorman((id, session, fd, reason, errno, inspects) => {
      if (inspects) answerInspector(fd)
      else this.#onArrival(id, session, fd, reason, errno)
    })
  }

  /** Listens on a path or a loopback address; returns the errno of a failed bind. */
  listen(
    address: string,
    window: number,
    maxMemory: number,
    guests: Guests
  ): { readonly port: number; readonly stop: () => void } | number {
    const id = ++this.#lastId
    const result = this.#native.listen(id, address, window, maxMemory)
    if (result < 0) return -result
    this.#listeners.set(id, guests)
    this.#hold()
    const stop = () => {
      if (!this.#listeners.delete(id)) return
      this.#native.stopListening(id)
      this.#hold()
    }
    return { port: result, stop }
  }

  connect(
    address: string,
    memory: number,
    queueCapacity: number,
    window: number,
    sharing: 0 | 1 | 2
  ): Promise<NativeSession | DialFailure> {
    const id = ++this.#lastId
    this.#native.connect(id, address, memory, queueCapacity, window, sharing)
    return new Promise((resolve) => {
      this.#calls.set(id, (session, failure) => resolve(session ?? failure))
      this.#hold()
    })
  }

  /** Listeners and calls under way keep the process alive. */
  #hold(): void {
    if (this.#listeners.size + this.#calls.size > 0) this.#native.ref()
    else this.#native.unref()
  }

  #onArrival(
    id: number,
    session: NativeSession | null,
    fd: number,
    reason: string,
    errno: number
  ): void {
    const call = this.#calls.get(id)
    if (call !== undefined) {
      this.#calls.delete(id)
      this.#hold()
      call(session, { reason, errno })
      return
    }
    const guests = this.#listeners.get(id)
    if (guests === undefined) {
      // The listener closed meanwhile: to the client it is a server that went away.
      discard(session, fd)
    } else if (session !== null) guests.onSession(session)
    else if (fd >= 0) guests.onPlain(fd)
    else guests.onRefused(reason)
  }
}

function discard(session: NativeSession | null, fd: number): void {
  if (fd >= 0) closeSync(fd)
  if (session === null) return
  closeSync(session.takeControl())
  session.close()
}

let doorman: Doorman | undefined

/**
 * @internal
 * @throws {ShmError} `SHM_ERR_UNAVAILABLE` when the process may have no more descriptors or threads
 */
export function theDoorman(addon: Addon): Doorman {
  try {
    doorman ??= new Doorman(addon)
    return doorman
  } catch (error) {
    const { message } = error as Error
    throw new ShmError('SHM_ERR_UNAVAILABLE', `no thread for handshakes: ${message}`, {
      cause: error
    })
  }
}
export type { Doorman }
