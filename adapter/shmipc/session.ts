import { EventEmitter } from 'node:events'
import type { NativeSession } from '../../native/index.ts'
import { publishSessionClose, publishSessionOpen } from '../diagnostics.ts'
import { ConnectionResetError, ProtocolError, ShmError } from '../errors.ts'
import { Arrivals } from './arrivals.ts'
import { BorrowedSlices } from './borrowed-slices.ts'
import type { Channel } from './channel.ts'
import { ControlChannel } from './control-channel.ts'
import { Departure, type WaitUntil } from './departure.ts'
import { HeldSlice } from './held-slice.ts'
import { forgetSession, registerSession } from './inspection.ts'
import { findLentToGone, LeakWatch, MAX_HOLDERS } from './leak-watch.ts'
import { LentBodies } from './lent-bodies.ts'
import { unwatch, watch } from './liveness.ts'
import { OrderlyClose } from './orderly-close.ts'
import { Outbox } from './outbox.ts'
import { toReset } from './session-end.ts'
import { cannotWait, type ResolvedSessionOptions } from './session-options.ts'
import {
  reportOf,
  type SessionReport,
  type SessionStatistics,
  statisticsOf
} from './session-statistics.ts'
import { SliceQueue } from './slice-queue.ts'
import { SliceWaiters } from './slice-waiters.ts'
import { Status } from './status.ts'
import { ShmStream } from './stream.ts'
import { StreamRouter } from './stream-router.ts'
import { StreamTable } from './stream-table.ts'

/** More than any session's memory. */
const MAX_MEMORY = 2 ** 32 - 1

export interface SessionEvents {
  /** A client opened a stream and sent something on it. Server side only. */
  stream: [stream: ShmStream]
  /**
   * The server closes the session: it takes no new stream, those open go on. It is told that we
   * agree when all that was given to `waitUntil` has settled. Client side only.
   */
  leave: [waitUntil: WaitUntil]
  /** The session is over; `error` says why when it was not closed by this process. */
  close: [error: Error | undefined]
}

/**
 * One peer: its shared memory, its control socket, its streams.
 *
 * The process that connected is the client and opens streams. A session ends with its socket: then
 * every stream is destroyed with `ECONNRESET`, and memory and descriptors go at once.
 */
export class ShmSession extends EventEmitter<SessionEvents> {
  /** Path of the socket the session was made on. */
  readonly path: string
  readonly role: 'client' | 'server'
  /** What the other end is: with `shmipc` (Go, Rust) there is no flow control and no half-close. */
  readonly peer: 'shmesh' | 'shmipc'

  /** @internal */ readonly native: NativeSession
  /** @internal The shared region; empty after the end. */
  readonly memory: Buffer
  /** @internal [payload offset, bytes] of each slice of the last `native.allocate`. */
  readonly spans: Uint32Array
  /** @internal The peer cannot truncate `memory`. */
  readonly sealed: boolean
  /** @internal Bytes a new stream may send at once. */
  readonly peerWindow: number
  /** @internal Bytes taken and not credited that make a stream give credit. */
  readonly creditBytes: number
  /** @internal Why it was over before it began. */
  readonly failure: ShmError | undefined
  /** @internal */ readonly waiters: SliceWaiters
  /** @internal */ readonly slices: SliceQueue
  /** @internal */ readonly borrowed: BorrowedSlices
  /** @internal */ readonly leaks: LeakWatch
  /** @internal */ readonly lent: LentBodies = new LentBodies(this)
  /** @internal */ readonly outbox: Outbox
  /** The peer's process as the kernel reported it; 0 when it is not in our pid namespace. */
  readonly peerPid: number

  readonly #sliceHeaderBytes: number
  readonly #control: ControlChannel
  readonly #channels: StreamTable
  readonly #arrivals: Arrivals
  /** Streams that keep the process alive. */
  #holders = 0
  readonly #departure: Departure
  readonly #close = new OrderlyClose(this)
  #ended = false
  readonly #openedAt = performance.now()

  /**
   * @internal Sessions are made by `connect` and `listen`.
   *
   * @param options resolved from the caller's
   * @param successor the epoch under which another server has taken the path over; 0n while none has
   */
  constructor(
    path: string,
    native: NativeSession,
    options: ResolvedSessionOptions,
    successor: () => bigint = () => 0n
  ) {
    super()
    const description = native.describe()
    this.path = path
    this.native = native
    this.role = description.client ? 'client' : 'server'
    this.peer = description.owned ? 'shmesh' : 'shmipc'
    this.#channels = new StreamTable(description.owned)
    this.peerWindow = description.owned ? description.peerWindow : Number.POSITIVE_INFINITY
    // At half the window, so that a sender need not stop.
    this.creditBytes = options.window / 2
    // Node keeps external memory from being moved to another thread, out of our reach. Marked by
    // us, too, its detaching would be a fatal error from Node 24 on.
    this.memory = Buffer.from(native.memory())
    this.sealed = description.sealed
    this.#sliceHeaderBytes = description.sliceHeaderBytes
    const words = new Uint32Array(Math.max(16 * 1024, 2 * description.maxEventWords))
    const router = new StreamRouter(this, this.#channels, {
      accept: (id) => this.#accept(id),
      whenControlRead: (action) =>
        this.#control.whenCaughtUp(native.unreadControl(this.#control.fd), action)
    })
    this.#arrivals = new Arrivals(router, this.memory, words)
    this.spans = new Uint32Array(2 * description.slices)
    this.waiters = new SliceWaiters()
    this.slices = new SliceQueue(this, description.budget)
    this.peerPid = description.peerPid
    this.leaks = new LeakWatch(path, options.leakWarningMs, () =>
      this.#ended
        ? []
        : findLentToGone(native.holders(MAX_HOLDERS), (id) => this.#channels.get(id) !== undefined)
    )
    this.borrowed = new BorrowedSlices(native, description.budget, {
      onLoanRead: ({ stream, first }) => this.outbox.signal(stream, Status.lendDone, first),
      onUnmapped: () => forgetSession(this)
    })
    this.#control = new ControlChannel(native.takeControl(), {
      beforeMessage: () => native.poll(),
      beforeSending: () => native.wakePeer(),
      onPolling: () => native.poll(),
      onStreamClose: (id) => router.end(id, Status.close),
      onHotRestart: (epoch) => this.#departure.onAsked(epoch),
      onHotRestartAck: (epoch) => this.#departure.onAgreed(epoch),
      onFallback: (id, status, data) => router.onFallback(id, status as Status, data),
      onEnd: (error) => this.#onSocketEnd(error)
    })
    this.outbox = new Outbox(this, this.#control, () => this.#close.check())
    this.#departure = new Departure(this, this.#control, successor)
    const errno = native.start(
      words,
      this.spans,
      (used) => this.#onEvents(used),
      (reason) => this.destroy(new ProtocolError(`the peer corrupted the session: ${reason}`)),
      () => this.#control.sendPolling(),
      options.wakeUp,
      options.intervalMs
    )
    registerSession(this)
    watch(this)
    publishSessionOpen({
      path,
      role: this.role,
      memoryBytes: this.memory.length,
      peerPid: description.peerPid
    })
    if (errno !== 0) {
      this.failure = cannotWait(path, errno)
      this.destroy(this.failure)
    }
  }

  get closed(): boolean {
    return this.#ended
  }

  /** The server asked not to be sent new requests here. */
  get leaving(): boolean {
    return this.#departure.asked
  }

  /** Streams neither ended nor destroyed. */
  get streams(): number {
    return this.#channels.size
  }

  /**
   * A new stream to the peer, at once: nothing travels before the first write.
   *
   * @throws {ShmError} `SHM_ERR_SESSION_CLOSED`
   */
  openStream(): ShmStream {
    if (this.#ended || this.#close.begun || this.leaving) {
      throw new ShmError(
        'SHM_ERR_SESSION_CLOSED',
        `the session on ${this.path} is closed: connect again`
      )
    }
    if (this.role === 'server') {
      throw new ShmError(
        'SHM_ERR_PROTOCOL',
        'only the client of a session opens streams: a server is told of them'
      )
    }
    return this.#addStream(this.#channels.nextId())
  }

  /**
   * Tells the client to open no more streams and to reuse none; resolves when it has agreed or the
   * session is over. What it opened before is served. Server side; elsewhere it does nothing. A
   * plain shmipc client, which dials the same path at once, is told when another server has it.
   */
  leave(): Promise<void> {
    return this.#departure.begin()
  }

  /**
   * Resolves when the peer has what was sent, or is given up after a second. shmipc-go drops what it
   * has not taken when its socket ends; a shmesh peer does not, and is not waited for.
   */
  delivered(): Promise<void> {
    return this.#close.delivered()
  }

  /** Takes no new streams; resolves when the last one has ended and the memory is gone. */
  close(): Promise<void> {
    return this.#close.run()
  }

  /** Ends every stream with `error` (default: a reset), frees memory and descriptors at once. */
  destroy(error?: Error): void {
    this.#end(error, (channel) =>
      channel.destroy(channel.finished ? undefined : toReset(error, this.path))
    )
  }

  statistics(): SessionStatistics {
    return statisticsOf(this)
  }

  /** {@link statistics}, and those of each stream. */
  report(): SessionReport {
    return reportOf(this, this.#channels.all(), performance.now() - this.#openedAt)
  }

  /**
   * A slice with room for `bytes` in one piece, to be filled in place; undefined when there is none.
   *
   * @param most with it no more bytes than these may be in use
   */
  hold(bytes: number, most: number = MAX_MEMORY): HeldSlice | undefined {
    if (this.#ended || !this.sealed) return undefined
    const slice = this.native.hold(bytes, most)
    if (slice === 0) return undefined
    const payload = slice + this.#sliceHeaderBytes
    return new HeldSlice(this, slice, this.memory.subarray(payload, payload + bytes))
  }

  /** @internal `reset`: we ended it first, the peer may still be sending. */
  removeStream(id: number, reset: boolean): void {
    if (this.#channels.remove(id, reset) && !this.#ended) this.#close.check()
  }

  /** @internal A stream keeps the process alive from here on, ... */
  ref(): void {
    if (this.#holders++ === 0) this.#control.ref()
  }

  /** @internal ... to here. */
  unref(): void {
    if (--this.#holders === 0) this.#control.unref()
  }

  #addStream(id: number): ShmStream {
    const stream = new ShmStream(this, id)
    this.ref()
    this.#channels.add(stream.channel)
    return stream
  }

  #onEvents(used: number): void {
    this.borrowed.beginBatch()
    try {
      this.#arrivals.deliver(used)
    } finally {
      this.borrowed.endBatch()
    }
    // The peer may have returned slices meanwhile.
    this.waiters.retry()
  }

  #accept(id: number): Channel | undefined {
    const stream = this.#addStream(id)
    if (this.#close.begun || this.listenerCount('stream') === 0) stream.destroy()
    else this.emit('stream', stream)
    return stream.destroyed ? undefined : stream.channel
  }

  #onSocketEnd(error: Error | undefined): void {
    // What the peer published before it went away is still in the ring.
    this.native.poll()
    const reason =
      error instanceof ProtocolError
        ? error
        : new ConnectionResetError(`the peer of the session on ${this.path} is gone`, {
            cause: error
          })
    this.#end(reason, (channel) => channel.onReset(toReset(reason, this.path)))
  }

  #end(error: Error | undefined, endChannel: (channel: Channel) => void): void {
    if (this.#ended) return
    this.#ended = true
    this.outbox.stop()
    this.waiters.clear()
    this.#control.destroy()
    unwatch(this)
    this.leaks.end()
    for (const channel of this.#channels.all()) {
      endChannel(channel)
      channel.copyOut()
    }
    this.#channels.clear()
    this.native.close()
    this.borrowed.end()
    this.lent.end()
    this.#departure.over()
    this.#close.over()
    publishSessionClose({ path: this.path, role: this.role, error })
    this.emit('close', error)
  }
}
