import type { Server } from 'node:http'
import type { Duplex } from 'node:stream'
import { ShmError } from '../errors.ts'
import { HttpConnections, ServerConnections } from '../http1/index.ts'
import {
  listen,
  type SessionReport,
  type SessionStatistics,
  type ShmListener,
  type ShmSession,
  socketIn
} from '../shmipc/index.ts'
import type { ResolvedServerOptions } from './options.ts'

/** Where it says what is not as it should be. */
export interface ServerLog {
  warn(details: { readonly path: string; readonly reason?: string }, message: string): void
}

/** The sockets one HTTP server is served on, and the connections they led to. */
export class ServedPaths {
  readonly #options: ResolvedServerOptions
  readonly #log: ServerLog
  readonly #listeners: ShmListener[] = []
  /** Streams of shared memory. */
  readonly #own: HttpConnections
  /** Plain sockets; with `compat` everything. */
  readonly #borrowed: ServerConnections
  #opening: Promise<void> | undefined
  #left: Promise<void> | undefined
  #closed: Promise<void> | undefined

  constructor(server: Server, options: ResolvedServerOptions, log: ServerLog) {
    this.#options = options
    this.#log = log
    this.#own = new HttpConnections(server)
    this.#borrowed = new ServerConnections(server)
  }

  /** Sockets that are served; what was asked for before it is open. */
  get paths(): readonly string[] {
    const { paths } = this.#options
    return this.#listeners.length === 0 ? paths : this.#listeners.map(({ path }) => path)
  }

  /** What clients are given: the first path as a URL, a directory as a directory. */
  get address(): string {
    return `shm://${encodeURI(this.#options.paths[0]!).replaceAll('?', '%3F').replaceAll('#', '%23')}`
  }

  /** Undefined before it is open. */
  get transport(): 'shm' | 'socket' | undefined {
    return this.#listeners[0]?.transport
  }

  /** It takes nobody new, and cannot be opened. */
  get closing(): boolean {
    return this.#left !== undefined
  }

  /** Connections of either kind. */
  get connections(): number {
    return this.#own.size + this.#borrowed.size
  }

  statistics(): SessionStatistics[] {
    return this.#sessions.map((session) => session.statistics())
  }

  report(): SessionReport[] {
    return this.#sessions.map((session) => session.report())
  }

  /**
   * Serves every path, or none and throws why. Once, whoever calls it again, unless it failed.
   *
   * @throws {ShmError} `SHM_ERR_SESSION_CLOSED` after `leave`
   */
  open(): Promise<void> {
    if (this.closing) {
      return Promise.reject(new ShmError('SHM_ERR_SESSION_CLOSED', 'the server is closing'))
    }
    this.#opening ??= this.#open().catch((error) => {
      this.#opening = undefined
      throw error
    })
    return this.#opening
  }

  /**
   * Nobody new is accepted, and who is here agrees to start nothing new: no request is lost.
   *
   * @param ask false: clients are not asked
   */
  leave(ask: boolean): Promise<void> {
    this.#left ??= this.#leave(ask)
    return this.#left
  }

  /**
   * Leaves, answers what is under way for as long as `ms`, and waits as long for upgraded
   * connections, which are their owners'. Then nothing is left. Once, whoever calls it again.
   *
   * @param ask see `leave`
   */
  close(ask: boolean, ms: number): Promise<void> {
    this.#closed ??= (async () => {
      await this.leave(ask)
      await Promise.all([this.#own.drain(ms), this.#borrowed.drain(ms)])
      await Promise.all([this.#own.end(ms), this.#borrowed.end(ms)])
      await Promise.all(this.#sessions.map((session) => session.delivered()))
      for (const session of this.#sessions) session.destroy()
    })()
    return this.#closed
  }

  closeIdle(): void {
    this.#own.closeIdle()
  }

  destroyConnections(): void {
    this.#own.destroy()
    this.#borrowed.destroy()
  }

  get #sessions(): ShmSession[] {
    return this.#listeners.flatMap((listener) => [...listener.sessions])
  }

  async #open(): Promise<void> {
    const { paths, mode, group, takeover, memory, tuning } = this.#options
    const opened: ShmListener[] = []
    try {
      for (const path of paths) {
        const own = path.endsWith('/') ? await socketIn(path.slice(0, -1)) : path
        opened.push(await listen({ ...tuning, path: own, mode, group, takeover, memory }))
      }
    } catch (error) {
      await Promise.all(opened.map((listener) => listener.close()))
      throw error
    }
    this.#listeners.push(...opened)
    for (const listener of opened) this.#serve(listener)
  }

  async #leave(ask: boolean): Promise<void> {
    // Closed while it opens: what comes of that must go, too.
    await this.#opening?.catch(() => undefined)
    await Promise.all(
      this.#listeners.map((listener) => (ask ? listener.leave() : listener.close()))
    )
  }

  #serve(listener: ShmListener): void {
    const { path, transport } = listener
    const streams = this.#options.compat ? this.#borrowed : this.#own
    listener.on('stream', (stream) => streams.add(this.#addressed(stream)))
    listener.on('connection', (socket) => this.#borrowed.add(this.#addressed(socket)))
    listener.on('refused', (reason) => this.#log.warn({ path, reason }, 'session refused'))
    if (transport === 'shm') return
    this.#log.warn({ path }, `shm://${path} is served by ordinary sockets`)
  }

  #addressed<T extends Duplex>(connection: T): T {
    const { remoteAddress: value } = this.#options
    if (value !== undefined) Object.defineProperty(connection, 'remoteAddress', { value })
    return connection
  }
}
