import type { NativeSession } from '../../native/index.ts'
import { publishStreamFallback } from '../diagnostics.ts'
import type { ControlChannel } from './control-channel.ts'
import { FallbackCounters } from './fallback-counters.ts'
import type { SliceWaiters } from './slice-waiters.ts'
import type { Status } from './status.ts'

/** The session an outbox sends for. */
interface Sender {
  readonly path: string
  readonly native: NativeSession
  readonly waiters: SliceWaiters
}

/**
 * What a peer is told without slices: events by the ring, in order, which wait here while it is
 * full; and by the control socket what falls back. Says nothing any more once the session is over.
 */
export class Outbox {
  readonly fallbacks: FallbackCounters = new FallbackCounters()
  readonly #session: Sender
  readonly #control: ControlChannel
  readonly #whenSent: () => void
  readonly #waiting: [stream: number, status: Status, value: number][] = []
  #stopped = false

  /** @param whenSent called when no event waits any more */
  constructor(session: Sender, control: ControlChannel, whenSent: () => void) {
    this.#session = session
    this.#control = control
    this.#whenSent = whenSent
  }

  /** How many events wait. */
  get waiting(): number {
    return this.#waiting.length
  }

  /** Events and bytes that were sent and that the peer has not taken. */
  get undelivered(): number {
    const { native } = this.#session
    const { sendBacklog } = native.statistics() ?? { sendBacklog: 0 }
    const socket = this.#control.unsent + native.unsentControl(this.#control.fd)
    return sendBacklog + this.#waiting.length + socket
  }

  /** Slices a plain peer has: unread, or for what it will write. */
  get withPeer(): number {
    return this.#session.native.statistics()?.withPeer ?? 0
  }

  /** An event without slices, now or when the ring has room. */
  signal(stream: number, status: Status, value: number): void {
    if (this.#stopped) return
    const { native, waiters } = this.#session
    if (this.#waiting.length === 0 && native.signal(stream, status, value)) return
    this.#waiting.push([stream, status, value])
    waiters.wait(this.#sendWaiting)
  }

  /** By the control socket; `written` is called when the kernel has `data`. */
  sendFallback(
    stream: number,
    status: Status,
    data?: Buffer,
    written?: (error?: Error | null) => void
  ): void {
    if (this.#stopped) return
    if (data !== undefined) {
      this.fallbacks.sent(data.length)
      publishStreamFallback(this.#session.path, stream, data.length)
    }
    this.#control.sendFallback(stream, status, data, written)
  }

  /** shmipc's close, for a stream whose data went by the socket: keeps the order. */
  sendStreamClose(stream: number): void {
    if (!this.#stopped) this.#control.sendStreamClose(stream)
  }

  stop(): void {
    this.#stopped = true
  }

  readonly #sendWaiting = (): boolean => {
    while (this.#waiting.length > 0) {
      const [stream, status, value] = this.#waiting[0]!
      if (!this.#session.native.signal(stream, status, value)) return false
      this.#waiting.shift()
    }
    this.#whenSent()
    return true
  }
}
