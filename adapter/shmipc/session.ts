import { EventEmitter } from 'node:events'
import type { NativeSession } from '../../native/index.ts'
import { publishSessionClose, publishSessionOpen, publishStreamFallback } from '../diagnostics.ts'
import { ConnectionResetError, ProtocolError, ShmError } from '../errors.ts'
import { ControlChannel } from './control-channel.ts'
import { Lease } from './lease.ts'
import { reportSession, type SessionStatistics } from './session-statistics.ts'
import { SliceWaiters } from './slice-waiters.ts'
import { Status } from './status.ts'
import { ShmStream } from './stream.ts'

/** Word positions of one drained event; slices follow, three words each. */
const EVENT_WORDS = 4
const SLICE_WORDS = 3
/** Below, a copy is cheaper than a lease. */
const MIN_LENT_BYTES = 16 * 1024

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
  /** @internal Bytes a new stream may send at once. */
  readonly peerWindow: number
  /** @internal */ readonly waiters: SliceWaiters

  readonly #words: Uint32Array
  readonly #control: ControlChannel
  readonly #streams = new Map<number, ShmStream>()
  /** Reset by us, not yet ended by the peer: late data of these is dropped, not a new stream. */
  readonly #resetIds = new Set<number>()
  readonly #signals: [id: number, status: Status, value: number][] = []
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
  /** Slices whose views are with a consumer. */
  #lent = 0
  #fallbackMessages = 0
  #fallbackBytes = 0

  /** @internal Sessions are made by `connect` and `listen`. */
  constructor(path: string, native: NativeSession) {
    super()
    const description = native.describe()
    this.path = path
    this.native = native
    this.role = description.client ? 'client' : 'server'
    this.peer = description.owned ? 'shmesh' : 'shmipc'
    this.peerWindow = description.owned ? description.peerWindow : Number.POSITIVE_INFINITY
    this.memory = Buffer.from(native.memory())
    this.#words = new Uint32Array(Math.max(16 * 1024, 2 * description.maxEventWords))
    this.spans = new Uint32Array(2 * description.slices)
    this.waiters = new SliceWaiters()
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
    publishSessionOpen({ path, role: this.role, memoryBytes: this.memory.length })
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
    return this.#streams.size
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
    } while (this.#streams.has(this.#lastId) || this.#resetIds.has(this.#lastId))
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
    this.#end(error, (stream) =>
      stream.destroy(stream.finished ? undefined : toReset(error, this.path))
    )
  }

  statistics(): SessionStatistics {
    return reportSession(this, this.#fallbackMessages, this.#fallbackBytes)
  }

  /** @internal Publishes an event without slices; kept when the ring is full. */
  signal(id: number, status: Status, value: number): void {
    if (this.#ended) return
    if (this.#signals.length === 0 && this.native.signal(id, status, value)) return
    this.#signals.push([id, status, value])
    this.waiters.wait(this.#sendSignals)
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
    if (!this.#streams.delete(id) || this.#ended) return
    if (reset) this.#resetIds.add(id)
    if (!this.#busy) this.#whenEmpty?.()
  }

  /** @internal A stream keeps the process alive from here on, ... */
  hold(): void {
    if (this.#holders++ === 0) this.#control.ref()
  }

  /** @internal ... to here. */
  letGo(): void {
    if (--this.#holders === 0) this.#control.unref()
  }

  /** Something of a stream is still to be told to the peer, or to come from it. */
  get #busy(): boolean {
    return this.#streams.size + this.#signals.length > 0
  }

  #addStream(id: number): ShmStream {
    const stream = new ShmStream(this, id)
    this.hold()
    this.#streams.set(id, stream)
    return stream
  }

  readonly #sendSignals = (): boolean => {
    while (this.#signals.length > 0) {
      const [id, status, value] = this.#signals[0]!
      if (!this.native.signal(id, status, value)) return false
      this.#signals.shift()
    }
    if (!this.#busy) this.#whenEmpty?.()
    return true
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
    if (status === Status.data) this.#onMessage(id, at)
    else if (status === Status.credit) this.#streams.get(id)?.onCredit(this.#words[at + 2]!)
    else this.#onEnd(id, status)
  }

  #onMessage(id: number, event: number): void {
    const stream = this.#streams.get(id)
    if (stream?.lends === true && this.#bytesOf(event) >= MIN_LENT_BYTES) {
      this.#lendMessage(stream, event)
      return
    }
    const data = this.#takeMessage(event)
    if (data.length > 0) this.#streamFor(id)?.onData(data, false)
  }

  #bytesOf(event: number): number {
    const words = this.#words
    const first = event + EVENT_WORDS
    const end = first + SLICE_WORDS * words[event + 3]!
    let bytes = 0
    for (let at = first; at < end; at += SLICE_WORDS) bytes += words[at + 2]!
    return bytes
  }

  /** Hands out views of a message's slices; each slice goes back when its lease ends. */
  #lendMessage(stream: ShmStream, event: number): void {
    const words = this.#words
    const first = event + EVENT_WORDS
    const end = first + SLICE_WORDS * words[event + 3]!
    for (let at = first; at < end; at += SLICE_WORDS) {
      const slice = words[at]!
      const payload = words[at + 1]!
      const bytes = words[at + 2]!
      const view = this.memory.subarray(payload, payload + bytes)
      // Paused, or destroyed, by what the slice before led to: from here on the stream keeps a copy.
      if (!stream.lends) {
        const copy = Buffer.from(view)
        if (!this.#ended) this.native.release(slice)
        stream.onData(copy, false)
        continue
      }
      this.#lent++
      stream.onLent(
        view,
        new Lease(() => {
          this.#returned(slice)
          stream.onReturned(bytes)
        })
      )
    }
  }

  #returned(slice: number): void {
    this.#lent--
    if (!this.#ended) this.native.release(slice)
    else if (this.#lent === 0) this.native.unmap()
  }

  /** Copies a message out of shared memory and frees its slices, whoever wants it or not. */
  #takeMessage(event: number): Buffer {
    const words = this.#words
    const first = event + EVENT_WORDS
    const end = first + SLICE_WORDS * words[event + 3]!
    const data = Buffer.allocUnsafe(this.#bytesOf(event))
    let copied = 0
    for (let at = first; at < end; at += SLICE_WORDS) {
      const payload = words[at + 1]!
      copied += this.memory.copy(data, copied, payload, payload + words[at + 2]!)
      this.native.release(words[at]!)
    }
    return data
  }

  #onFallback(id: number, status: number, data: Buffer): void {
    if (this.#ended) return
    if (status !== Status.data) {
      this.#onEnd(id, status as Status)
      return
    }
    if (data.length > 0) this.#streamFor(id)?.onData(data, true)
  }

  #onEnd(id: number, status: Status): void {
    // The answer to our reset.
    if (this.#resetIds.delete(id)) return
    // A stream may end before it carried a byte: whoever opened it waits for our end of it.
    const stream = status === Status.fin ? this.#streamFor(id) : this.#streams.get(id)
    stream?.onEnd(status)
  }

  #streamFor(id: number): ShmStream | undefined {
    const known = this.#streams.get(id)
    if (known !== undefined || this.role === 'client') return known
    if (this.#resetIds.has(id)) return undefined
    const stream = this.#addStream(id)
    if (this.#closing || this.listenerCount('stream') === 0) stream.destroy()
    else this.emit('stream', stream)
    return stream.destroyed ? undefined : stream
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
    this.#end(reason, (stream) => stream.onReset(toReset(reason, this.path)))
  }

  #end(error: Error | undefined, endStream: (stream: ShmStream) => void): void {
    if (this.#ended) return
    this.#ended = true
    this.waiters.clear()
    this.#control.destroy()
    for (const stream of [...this.#streams.values()]) endStream(stream)
    this.#streams.clear()
    this.#resetIds.clear()
    this.native.close()
    // Views that are still being written somewhere keep the memory mapped.
    if (this.#lent === 0) this.native.unmap()
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
