import { EventEmitter } from 'node:events'
import { connect as connectSocket, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { publishTransportChange, type Transport } from '../diagnostics.ts'
import { ShmError } from '../errors.ts'
import { parseMemory } from '../options.ts'
import { parseShmAddress } from './address.ts'
import { sharedMemoryOrWarn } from './availability.ts'
import { type ConnectOptions, connect, UnreachableError } from './connect.ts'
import type { WaitUntil } from './departure.ts'
import type { ShmSession } from './session.ts'
import { resolveSessionOptions } from './session-options.ts'
import type { SessionStatistics } from './session-statistics.ts'

/** First and longest pause before shared memory is tried again on a path that refused it, in ms. */
const FIRST_BACKOFF_MS = 100
const MAX_BACKOFF_MS = 10_000

export interface Connection {
  readonly stream: Duplex
  readonly transport: Transport
}

export interface LinkStatistics {
  readonly path: string
  /** How the last connection travelled; undefined before the first. */
  readonly transport: Transport | undefined
  /** Connections made so far, by transport. */
  readonly connections: Readonly<Record<Transport, number>>
  /** Why shared memory is not used at present. */
  readonly reason: string | undefined
  readonly session: SessionStatistics | undefined
}

export interface LinkEvents {
  /**
   * What was connected so far is `retiring`: it is served, and must not be used for anything new,
   * because its server is going or shared memory can be had again. A server that is going waits for
   * what is given to `waitUntil`.
   */
  renew: [waitUntil: WaitUntil]
  transport: [transport: Transport, reason: string]
}

/**
 * The way to one server: streams of a shared-memory session while there is one, plain Unix sockets
 * on the same path while there is none. The peer never changes, only the transport.
 *
 * A path where nobody listens is an error, at once and each time. A path whose server does not take
 * shared memory is served by sockets, and shared memory is tried again after a growing pause.
 */
export class Link extends EventEmitter<LinkEvents> {
  readonly path: string
  readonly #options: ConnectOptions
  readonly #sockets = new Set<Socket & { retiring?: boolean }>()
  readonly #connections = { shm: 0, socket: 0 }
  #session: ShmSession | undefined
  /** Sessions whose server takes no more streams, until their last stream ends. */
  readonly #leaving = new Set<ShmSession>()
  #dialling: Promise<ShmSession | undefined> | undefined
  #transport: Transport | undefined
  #reason: string | undefined
  #backoffMs = FIRST_BACKOFF_MS
  #retryAt = 0
  #probe: NodeJS.Timeout | undefined
  #closed = false

  /** @param address `shm:///run/x.sock` or an absolute path */
  constructor(address: string, options: ConnectOptions = {}) {
    super()
    this.path = parseShmAddress('address', address)
    parseMemory('memory', options.memory)
    resolveSessionOptions(options)
    this.#options = options
  }

  /** Streams and sockets open now. */
  get connections(): number {
    let count = this.#sockets.size + (this.#session?.streams ?? 0)
    for (const session of this.#leaving) count += session.streams
    return count
  }

  /**
   * A byte stream to the server.
   *
   * @throws {UnreachableError} (`ECONNREFUSED`, `ENOENT`, ...) when nobody listens
   * @throws {ShmError} `SHM_ERR_SESSION_CLOSED` after `close` or `destroy`
   */
  async connect(): Promise<Connection> {
    this.#checkOpen()
    const session = this.#session ?? (await this.#dial())
    this.#checkOpen()
    if (session !== undefined && !session.closed) {
      this.#moved('shm', 'a session is up')
      return { stream: session.openStream(), transport: 'shm' }
    }
    const stream = await this.#connectSocket()
    this.#moved('socket', this.#reason ?? 'no session')
    return { stream, transport: 'socket' }
  }

  /** In which connections are opened now; undefined before the first, and while there is none. */
  get session(): ShmSession | undefined {
    return this.#session
  }

  /** Those that are open, those that are being left included. */
  get sessions(): ShmSession[] {
    return this.#session === undefined ? [...this.#leaving] : [...this.#leaving, this.#session]
  }

  /**
   * Finds out how {@link connectNow} travels, unless that is known.
   *
   * @throws as `connect`
   */
  async prepare(): Promise<void> {
    this.#checkOpen()
    if (this.#session === undefined) await this.#dial()
  }

  /**
   * As `connect`, without waiting: a socket may still be connecting. For those who count what is
   * open.
   *
   * @returns undefined before the first `prepare`, or `connect`, and when the session has gone since
   */
  connectNow(): Connection | undefined {
    this.#checkOpen()
    if (this.#session !== undefined && !this.#session.closed) {
      this.#moved('shm', 'a session is up')
      return { stream: this.#session.openStream(), transport: 'shm' }
    }
    if (this.#reason === undefined || Date.now() >= this.#retryAt) return undefined
    this.#moved('socket', this.#reason)
    return { stream: this.#openSocket(), transport: 'socket' }
  }

  statistics(): LinkStatistics {
    return {
      path: this.path,
      transport: this.#transport,
      connections: { ...this.#connections },
      reason: this.#reason,
      session: this.#session?.statistics()
    }
  }

  /** Takes no new connections; resolves when those open have ended. */
  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#probe)
    await this.#dialling?.catch(() => undefined)
    await this.#session?.close()
    await Promise.all([...this.#leaving].map((session) => session.close()))
    await Promise.all(
      [...this.#sockets].map((socket) => new Promise((resolve) => socket.once('close', resolve)))
    )
  }

  /** Ends every connection now. */
  destroy(error?: Error): void {
    this.#closed = true
    clearTimeout(this.#probe)
    for (const session of [...this.#leaving, this.#session]) session?.destroy(error)
    for (const socket of this.#sockets) socket.destroy(error)
  }

  #checkOpen(): void {
    if (this.#closed) throw this.#closedError()
  }

  #closedError(): ShmError {
    return new ShmError('SHM_ERR_SESSION_CLOSED', `link to ${this.path} is closed`)
  }

  /** The session, or undefined when the path refuses shared memory at present. */
  #dial(): Promise<ShmSession | undefined> {
    if (Date.now() < this.#retryAt) return Promise.resolve(undefined)
    this.#dialling ??= this.#tryShm().finally(() => {
      this.#dialling = undefined
    })
    return this.#dialling
  }

  async #tryShm(): Promise<ShmSession | undefined> {
    const availability = sharedMemoryOrWarn()
    if (availability.addon === undefined) {
      this.#postpone(availability.reason)
      return undefined
    }
    try {
      const session = await connect(this.path, this.#options)
      if (this.#closed) {
        session.destroy()
        return undefined
      }
      this.#session = session
      this.#reason = undefined
      this.#backoffMs = FIRST_BACKOFF_MS
      session.once('close', (error) => {
        this.#forget(session, error?.message)
        this.#leaving.delete(session)
      })
      // Its server is being replaced: the next connection finds the new one.
      session.once('leave', (waitUntil) => {
        this.#forget(session, 'the server left its session')
        this.#leaving.add(session)
        this.emit('renew', waitUntil)
        session.close().catch(() => undefined)
      })
      this.#retireSockets()
      return session
    } catch (error) {
      // Nobody listens: sockets would fare no better, and the next attempt must not wait.
      if (error instanceof UnreachableError) throw error
      this.#postpone((error as Error).message)
      return undefined
    }
  }

  #forget(session: ShmSession, reason: string | undefined): void {
    if (this.#session !== session) return
    this.#session = undefined
    this.#reason = reason
  }

  #postpone(reason: string): void {
    this.#reason = reason
    // Jitter: many clients of one server must not come back together.
    this.#retryAt = Date.now() + this.#backoffMs * (0.5 + Math.random())
    this.#backoffMs = Math.min(this.#backoffMs * 2, MAX_BACKOFF_MS)
    this.#probeLater()
  }

  /** Busy sockets may be reused for ever: without a new connection nobody would try again. */
  #probeLater(): void {
    clearTimeout(this.#probe)
    if (this.#closed) return
    this.#probe = setTimeout(
      () => {
        if (this.#session !== undefined || this.#sockets.size === 0) return
        // Timers count from the beginning of a turn: after a long one they are early.
        this.#retryAt = 0
        this.#dial().catch(() => undefined)
      },
      this.#retryAt - Date.now() + 1
    ).unref()
  }

  #retireSockets(): void {
    if (this.#sockets.size === 0) return
    for (const socket of this.#sockets) socket.retiring = true
    this.emit('renew', () => undefined)
  }

  #connectSocket(): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const socket = this.#openSocket()
      socket.once('close', () => {
        // Destroyed, without an error, before it was connected; else it is settled already.
        reject(this.#closedError())
      })
      const failed = ({ errno = 0 }: NodeJS.ErrnoException) =>
        reject(new UnreachableError(-errno, this.path))
      socket.once('error', failed)
      socket.once('connect', () => {
        socket.off('error', failed)
        resolve(socket)
      })
    })
  }

  #openSocket(): Socket {
    const socket = connectSocket({ path: this.path })
    this.#sockets.add(socket)
    return socket.once('close', () => this.#sockets.delete(socket))
  }

  #moved(to: Transport, reason: string): void {
    this.#connections[to]++
    const from = this.#transport
    if (from === to) return
    this.#transport = to
    if (from === undefined && to === 'shm') return
    this.emit('transport', to, reason)
    publishTransportChange({ path: this.path, from: from ?? 'shm', to, reason })
  }
}
