import { EventEmitter } from 'node:events'
import type { NativeSession } from '../../native/index.ts'
import { publishSessionClose, publishSessionOpen, publishStreamFallback } from '../diagnostics.ts'
import { ConnectionResetError, ProtocolError, ShmError } from '../errors.ts'
import { BorrowedSlices } from './borrowed-slices.ts'
import type { Channel } from './channel.ts'
import { ControlChannel } from './control-channel.ts'
import { HeldSlice } from './held-slice.ts'
import { forgetSession, registerSession } from './inspection.ts'
import type { Lease } from './lease.ts'
import {
  type FallbackReason,
  type SessionReport,
  type SessionStatistics,
  withNative
} from './session-statistics.ts'
import type { SharedBody, SharedChain } from './shared-body.ts'
import { Signals } from './signals.ts'
import type { Loan, SliceRef } from './slice-ref.ts'
import { SliceWaiters } from './slice-waiters.ts'
import { Status } from './status.ts'
import { ShmStream } from './stream.ts'

/** Word positions of one drained event; slices follow, three words each. */
const EVENT_WORDS = 4
const SLICE_WORDS = 3
/** What must be done before the server is told that this client leaves. */
export type WaitUntil = (work: Promise<unknown>) => void

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
  /** @internal */ readonly waiters: SliceWaiters

  readonly #sliceHeaderBytes: number
  readonly #words: Uint32Array
  readonly #control: ControlChannel
  readonly #channels = new Map<number, Channel>()
  /** Reset by us, not yet ended by the peer: late data of these is dropped, not a new stream. */
  readonly #resetIds = new Set<number>()
  readonly #signals: Signals
  readonly #borrowed: BorrowedSlices
  /** Streams that keep the process alive. */
  #holders = 0
  // shmipc counts from 1 and adds before use.
  #lastId = 1
  #closing = false
  /** The server asked for no more streams. */
  #leaving = false
  #left: Promise<void> | undefined
  #whenLeft: (() => void) | undefined
  #ended = false
  #whenEmpty: (() => void) | undefined
  /** Bodies of ours the peer is reading, by their first slice. */
  readonly #lent = new Map<number, [body: SharedBody, chain: SharedChain]>()
  #fallbackMessages = 0
  #fallbackBytes = 0
  readonly #fallbacks = { noSlices: 0, ringFull: 0 }
  readonly #peerPid: number
  readonly #openedAt = performance.now()

  /**
   * @internal Sessions are made by `connect` and `listen`.
   *
   * @param window bytes the peer may send on a stream before we give credit
   */
  constructor(path: string, native: NativeSession, window: number) {
    super()
    const description = native.describe()
    this.path = path
    this.native = native
    this.role = description.client ? 'client' : 'server'
    this.peer = description.owned ? 'shmesh' : 'shmipc'
    this.peerWindow = description.owned ? description.peerWindow : Number.POSITIVE_INFINITY
    // At half the window, so that a sender need not stop.
    this.creditBytes = window / 2
    this.memory = Buffer.from(native.memory())
    this.sealed = description.sealed
    this.#sliceHeaderBytes = description.sliceHeaderBytes
    this.#words = new Uint32Array(Math.max(16 * 1024, 2 * description.maxEventWords))
    this.spans = new Uint32Array(2 * description.slices)
    this.waiters = new SliceWaiters()
    this.#signals = new Signals(native, this.waiters, () => this.#checkEmpty())
    this.#peerPid = description.peerPid
    this.#borrowed = new BorrowedSlices(native, description.budget, {
      onLoanRead: ({ stream, first }) => this.signal(stream, Status.lendDone, first),
      onUnmapped: () => forgetSession(this)
    })
    this.#control = new ControlChannel(native.takeControl(), {
      beforeMessage: () => native.poll(),
      onPolling: () => native.poll(),
      onStreamClose: (id) => this.#onEnd(id, Status.close),
      onHotRestart: () => this.#onLeave(),
      onHotRestartAck: () => this.#whenLeft?.(),
      onFallback: (id, status, data) => this.#onFallback(id, status, data),
      onEnd: (error) => this.#onSocketEnd(error)
    })
    native.start(
      this.#words,
      this.spans,
      (words) => this.#onEvents(words),
      (reason) => this.destroy(new ProtocolError(`the peer corrupted the session: ${reason}`)),
      () => this.#control.sendPolling()
    )
    registerSession(this)
    publishSessionOpen({
      path,
      role: this.role,
      memoryBytes: this.memory.length,
      peerPid: description.peerPid
    })
  }

  get closed(): boolean {
    return this.#ended
  }

  /** The server asked not to be sent new requests here. */
  get leaving(): boolean {
    return this.#leaving
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
    if (this.#ended || this.#closing || this.#leaving) {
      throw new ShmError('SHM_ERR_SESSION_CLOSED', `the session on ${this.path} is closed`)
    }
    if (this.role === 'server') {
      throw new ShmError('SHM_ERR_PROTOCOL', 'only the client of a session opens streams')
    }
    do {
      this.#lastId = (this.#lastId + 1) >>> 0
    } while (this.#channels.has(this.#lastId) || this.#resetIds.has(this.#lastId))
    return this.#addStream(this.#lastId)
  }

  /**
   * Tells a shmesh client to open no more streams and to reuse none; resolves when it has agreed
   * or the session is over. What it opened before is served. Server side; elsewhere it does nothing.
   */
  leave(): Promise<void> {
    if (this.#ended || this.role === 'client' || this.peer === 'shmipc') return Promise.resolve()
    this.#left ??= new Promise<void>((resolve) => {
      this.#whenLeft = resolve
      this.#control.sendHotRestart()
    })
    return this.#left
  }

  /** Takes no new streams; resolves when the last one has ended and the memory is gone. */
  async close(): Promise<void> {
    // What the client opened before it agreed to leave is served.
    if (this.role === 'server') await this.leave()
    if (this.#ended) return
    this.#closing = true
    if (this.#busy) {
      await new Promise<void>((resolve) => {
        this.#whenEmpty = resolve
      })
    }
    this.destroy()
  }

  /** Ends every stream with `error` (default: a reset), frees memory and descriptors at once. */
  destroy(error?: Error): void {
    this.#end(error, (channel) =>
      channel.destroy(channel.finished ? undefined : toReset(error, this.path))
    )
  }

  statistics(): SessionStatistics {
    const own = {
      path: this.path,
      role: this.role,
      peer: this.peer,
      closed: this.#ended,
      streams: this.#channels.size,
      memoryBytes: this.memory.length,
      fallbackMessages: this.#fallbackMessages,
      fallbackBytes: this.#fallbackBytes,
      fallbacks: { ...this.#fallbacks },
      leases: this.#borrowed.leases,
      keptBytes: this.#borrowed.keptBytes
    }
    return withNative(own, this.native.statistics())
  }

  /** {@link statistics}, and those of each stream. */
  report(): SessionReport {
    return {
      ...this.statistics(),
      peerPid: this.#peerPid,
      ageMs: Math.round(performance.now() - this.#openedAt),
      perStream: [...this.#channels.values()].map((channel) => channel.statistics())
    }
  }

  /** @internal A stream turns to the socket. */
  fellBack(): void {
    const { sendBacklog = 0, queueCapacity = 0 } = this.native.statistics() ?? {}
    const reason: FallbackReason = sendBacklog >= queueCapacity ? 'ringFull' : 'noSlices'
    this.#fallbacks[reason]++
  }

  /**
   * A slice with room for `bytes` in one piece, to be filled in place; undefined when there is none.
   */
  hold(bytes: number): HeldSlice | undefined {
    if (this.#ended || !this.sealed) return undefined
    const slice = this.native.hold(bytes)
    if (slice === 0) return undefined
    const payload = slice + this.#sliceHeaderBytes
    return new HeldSlice(this, slice, this.memory.subarray(payload, payload + bytes))
  }

  /** @internal The peer has been sent a lent message. */
  lent(body: SharedBody, chain: SharedChain): void {
    chain.lends++
    this.#lent.set(chain.spans[0]!, [body, chain])
  }

  /** @internal Publishes an event without slices, now or when the ring has room. */
  signal(id: number, status: Status, value: number): void {
    if (!this.#ended) this.#signals.send(id, status, value)
  }

  /** @internal Sends by the control socket; `written` is called when the kernel has it. */
  sendFallback(id: number, status: Status, data?: Buffer, written?: (e?: Error | null) => void) {
    if (this.#ended) return
    if (data !== undefined) {
      this.#fallbackMessages++
      this.#fallbackBytes += data.length
      publishStreamFallback(this.path, id, data.length)
    }
    this.#control.sendFallback(id, status, data, written)
  }

  /** @internal shmipc's close, for a stream whose data went by the socket: keeps the order. */
  sendStreamClose(id: number): void {
    if (!this.#ended) this.#control.sendStreamClose(id)
  }

  /** @internal `reset`: we ended it first, the peer may still be sending. */
  removeStream(id: number, reset: boolean): void {
    if (!this.#channels.delete(id) || this.#ended) return
    if (reset) this.#resetIds.add(id)
    this.#checkEmpty()
  }

  /** @internal Whether `bytes` that cannot be delivered now may wait in shared memory. */
  mayKeep(bytes: number): boolean {
    return this.#borrowed.mayKeep(bytes)
  }

  /** @internal They do, ... */
  keep(bytes: number): void {
    this.#borrowed.keep(bytes)
  }

  /** @internal ... and no longer. */
  unkeep(bytes: number): void {
    this.#borrowed.unkeep(bytes)
  }

  /** @internal */
  lend(channel: Channel, slice: SliceRef, view: Buffer): Lease {
    return this.#borrowed.lend(channel, slice, view.length)
  }

  /** @internal */
  returned(slice: SliceRef): void {
    this.#borrowed.returned(slice)
  }

  /** @internal */
  release(slice: SliceRef): void {
    this.#borrowed.release(slice)
  }

  /** @internal A stream keeps the process alive from here on, ... */
  ref(): void {
    if (this.#holders++ === 0) this.#control.ref()
  }

  /** @internal ... to here. */
  unref(): void {
    if (--this.#holders === 0) this.#control.unref()
  }

  /** Something of a stream is still to be told to the peer, or to come from it. */
  get #busy(): boolean {
    return this.#channels.size + this.#signals.length > 0
  }

  #checkEmpty(): void {
    if (!this.#busy) this.#whenEmpty?.()
  }

  #addStream(id: number): ShmStream {
    const stream = new ShmStream(this, id)
    this.ref()
    this.#channels.set(id, stream.channel)
    return stream
  }

  #onEvents(used: number, from = 0): void {
    const words = this.#words
    let at = from
    try {
      while (at < used && !this.#ended) {
        const event = at
        at += EVENT_WORDS + SLICE_WORDS * words[event + 3]!
        this.#onEvent(event)
      }
    } finally {
      // A listener threw: what follows is other streams', and there is no second copy of it.
      if (at < used && !this.#ended) this.#onEvents(used, at)
    }
    // The peer may have returned slices meanwhile.
    this.waiters.retry()
  }

  #onEvent(at: number): void {
    const id = this.#words[at]!
    const status = this.#words[at + 1]! as Status
    if (status === Status.data || status === Status.lend) this.#onMessage(id, at)
    else if (status === Status.lendDone) this.#onLendDone(this.#words[at + 2]!)
    else if (status === Status.credit) this.#channels.get(id)?.onCredit(this.#words[at + 2]!)
    else this.#onEnd(id, status)
  }

  /** The core has checked that it was lent. */
  #onLendDone(first: number): void {
    const lent = this.#lent.get(first)
    if (lent === undefined) return
    const [body, chain] = lent
    body.ended(this, chain)
    if (chain.lends === 0) this.#lent.delete(first)
  }

  #onMessage(id: number, event: number): void {
    const words = this.#words
    const channel = this.#channelFor(id)
    const first = event + EVENT_WORDS
    const slices = words[event + 3]!
    const end = first + SLICE_WORDS * slices
    const loan =
      words[event + 1] === Status.lend
        ? { stream: id, first: words[event + 2]!, left: slices }
        : undefined
    this.#onSlices(channel, first, end, loan)
  }

  #onSlices(channel: Channel | undefined, first: number, end: number, loan: Loan | undefined) {
    const words = this.#words
    let at = first
    try {
      // Whoever takes a slice may end the session, and the memory with it.
      while (at < end && !this.#ended) {
        const slice = words[at]!
        const payload = words[at + 1]!
        const bytes = words[at + 2]!
        at += SLICE_WORDS
        const ref = loan === undefined ? slice : { slice, loan }
        if (channel === undefined || bytes === 0) this.release(ref)
        else channel.onView(this.memory.subarray(payload, payload + bytes), ref)
      }
    } finally {
      // A listener threw: what follows has no second copy.
      if (at < end && !this.#ended) this.#onSlices(channel, at, end, loan)
    }
  }

  #onFallback(id: number, status: number, data: Buffer): void {
    if (this.#ended) return
    if (status !== Status.data) {
      this.#onEnd(id, status as Status)
      return
    }
    if (data.length > 0) this.#channelFor(id)?.onFallback(data)
  }

  #onEnd(id: number, status: Status): void {
    // The answer to our reset.
    if (this.#resetIds.delete(id)) return
    // A stream may end before it carried a byte: whoever opened it waits for our end of it.
    const channel = status === Status.fin ? this.#channelFor(id) : this.#channels.get(id)
    channel?.onEnd(status)
  }

  #channelFor(id: number): Channel | undefined {
    const known = this.#channels.get(id)
    if (known !== undefined || this.role === 'client') return known
    if (this.#resetIds.has(id)) return undefined
    const stream = this.#addStream(id)
    if (this.#closing || this.listenerCount('stream') === 0) stream.destroy()
    else this.emit('stream', stream)
    return stream.destroyed ? undefined : stream.channel
  }

  #onLeave(): void {
    this.#leaving = true
    const work: Promise<unknown>[] = []
    this.emit('leave', (promise) => work.push(promise))
    if (work.length === 0) {
      this.#control.sendHotRestartAck()
      return
    }
    Promise.allSettled(work).then(() => {
      if (!this.#ended) this.#control.sendHotRestartAck()
    })
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
    this.waiters.clear()
    this.#control.destroy()
    for (const channel of [...this.#channels.values()]) {
      endChannel(channel)
      channel.copyOut()
    }
    this.#channels.clear()
    this.#resetIds.clear()
    this.native.close()
    this.#borrowed.end()
    this.#whenLeft?.()
    this.#whenEmpty?.()
    publishSessionClose({ path: this.path, role: this.role, error })
    this.emit('close', error)
  }
}

function toReset(error: Error | undefined, path: string): Error {
  if (error instanceof ConnectionResetError) return error
  return new ConnectionResetError(
    error?.message ?? `the session on ${path} was destroyed`,
    error === undefined ? undefined : { cause: error }
  )
}
