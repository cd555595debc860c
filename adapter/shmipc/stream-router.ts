import type { ArrivalTarget } from './arrivals.ts'
import type { Channel } from './channel.ts'
import type { ShmSession } from './session.ts'
import type { SliceRef } from './slice-ref.ts'
import { Status } from './status.ts'
import type { StreamTable } from './stream-table.ts'

/** What a router asks of its session. */
export interface RouterHost {
  /** A stream of the client's that is new here; undefined when it is refused. */
  accept(id: number): Channel | undefined
  /** Calls `action` when what has come by the control socket until now has been read. */
  whenControlRead(action: () => void): void
}

/** Takes what comes from the peer, by the ring or by the control socket, to the stream it is for. */
export class StreamRouter implements ArrivalTarget {
  readonly #session: ShmSession
  readonly #channels: StreamTable
  readonly #host: RouterHost

  constructor(session: ShmSession, channels: StreamTable, host: RouterHost) {
    this.#session = session
    this.#channels = channels
    this.#host = host
  }

  get closed(): boolean {
    return this.#session.closed
  }

  /** The channel a message is for: the client's may be new. */
  channelFor(id: number): Channel | undefined {
    const known = this.#channels.get(id)
    if (known !== undefined || this.#session.role === 'client') return known
    return this.#channels.isReset(id) ? undefined : this.#host.accept(id)
  }

  onCredit(id: number, bytes: number): void {
    this.#channels.get(id)?.onCredit(bytes)
  }

  /** The peer returned a lent message, read. */
  onLendDone(first: number): void {
    this.#session.lent.done(first)
  }

  release(slice: SliceRef): void {
    this.#session.borrowed.release(slice)
  }

  /** By the ring, the peer ended a stream, one direction or both. */
  onEnd(id: number, status: Status): void {
    if (this.#session.peer === 'shmesh') this.end(id, status)
    // shmipc-go puts it there although bytes of the stream may be on their way by the socket.
    else this.#host.whenControlRead(() => this.end(id, status))
  }

  /** By the control socket: bytes, or what it said behind them. */
  onFallback(id: number, status: Status, data: Buffer): void {
    if (this.closed) return
    if (status !== Status.data) this.onEnd(id, status)
    else if (data.length > 0) this.channelFor(id)?.onFallback(data)
  }

  /** The peer ended a stream, and nothing of it is under way any more. */
  end(id: number, status: Status): void {
    if (this.#channels.settleReset(id)) return
    // A stream may end before it carried a byte: whoever opened it waits for our end of it.
    const channel = status === Status.fin ? this.channelFor(id) : this.#channels.get(id)
    channel?.onEnd(status)
  }
}
