import { EventEmitter } from 'node:events'
import type { NativeSession } from '../../native/index.ts'
import { publishSessionClose, publishSessionOpen, publishStreamFallback } from '../diagnostics.ts'
import { ConnectionResetError, ProtocolError, ShmError } from '../errors.ts'
import { ControlChannel } from './control-channel.ts'
import { reportSession, type SessionStatistics } from './session-statistics.ts'
import { SliceWaiters } from './slice-waiters.ts'
import { Status } from './status.ts'
import { ShmStream } from './stream.ts'

/** Word positions of one drained event; slices follow, three words each. */
const EVENT_WORDS = 4
const SLICE_WORDS = 3

export interface SessionEvents {
  /** A client opened a stream and sent something on it. Server side only. */
  stream: [stream: ShmStream]
  /** The server closes the session: it takes no new stream, those open go on. Client side only. */
  leave: []
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
  // shmipc counts from 1 and adds before use.
  #lastId = 1
  #closing = false
  /** The server asked for no more streams. */
  #leaving = false
  #left: Promise<void> | undefined
  #whenLeft: (() => void) | undefined
  #ended = false
  #whenEmpty: (() => void) | undefined
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
      onHotRestart: () => {
        this.#leaving = true
        this.emit('leave')
      },
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
    await this.leave()
    if (this.#ended) return
    this.#closing = true
    if (this.#streams.size > 0) {
      await new Promise<void>((resolve) => {
        this.#whenEmpty = resolve
      })
    }
    this.#end(undefined)
  }

  /** Ends every stream with `error` (default: a reset), frees memory and descriptors at once. */
  destroy(error?: Error): void {
    this.#end(error)
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
    if (this.#streams.size > 0) return
    this.#control.unref()
    this.#whenEmpty?.()
  }

  #addStream(id: number): ShmStream {
    const stream = new ShmStream(this, id)
    if (this.#streams.size === 0) this.#control.ref()
    this.#streams.set(id, stream)
    return stream
  }

  readonly #sendSignals = (): boolean => {
    while (this.#signals.length > 0) {
      const [id, status, value] = this.#signals[0]!
      if (!this.native.signal(id, status, value)) return false
      this.#signals.shift()
    }
    return true
  }

  #onEvents(used: number): void {
    const words = this.#words
    for (let at = 0; at < used && !this.#ended; ) {
      const id = words[at]!
      const status = words[at + 1]!
      const slices = words[at + 3]!
      if (status === Status.data) this.#onData(id, at + EVENT_WORDS, slices)
      else if (status === Status.credit) this.#streams.get(id)?.onCredit(words[at + 2]!)
      else this.#onEnd(id, status as Status)
      at += EVENT_WORDS + SLICE_WORDS * slices
    }
    // The peer may have returned slices meanwhile.
    this.waiters.retry()
  }

  /** Copies a message out and frees its slices, whoever wants it or not. */
  #onData(id: number, at: number, slices: number): void {
    const words = this.#words
    const stream = this.#streamFor(id)
    for (let i = 0; i < slices; i++, at += SLICE_WORDS) {
      const bytes = words[at + 2]!
      if (stream !== undefined && bytes > 0) {
        const payload = words[at + 1]!
        const chunk = Buffer.allocUnsafe(bytes)
        this.memory.copy(chunk, 0, payload, payload + bytes)
        this.native.release(words[at]!)
        stream.onData(chunk, false)
        // The consumer may have destroyed the session.
        if (this.#ended) return
      } else {
        this.native.release(words[at]!)
      }
    }
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

  #onSocketEnd(error: Error | undefined): void {
    // What the peer published before it went away is still in the ring.
    this.native.poll()
    this.#end(error ?? new ConnectionResetError(`the peer of the session on ${this.path} is gone`))
  }

  #end(error: Error | undefined): void {
    if (this.#ended) return
    this.#ended = true
    this.waiters.clear()
    this.#control.destroy()
    for (const stream of [...this.#streams.values()]) {
      stream.destroy(stream.finished ? undefined : toReset(error, this.path))
    }
    this.#streams.clear()
    this.#resetIds.clear()
    this.native.close()
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
