import type { Server } from 'node:http'
import type { Duplex } from 'node:stream'
import { HttpConnections, ServerConnections } from '../http1/index.ts'
import {
  listen,
  type SessionStatistics,
  type ShmListener,
  type ShmSession
} from '../shmipc/index.ts'
import type { ResolvedServerOptions } from './options.ts'

/** A client that is stopped must not keep a server from closing, ms. */
const LEAVE_MS = 1000

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
  #left: Promise<void> | undefined
  #closed: Promise<void> | undefined

  constructor(server: Server, options: ResolvedServerOptions, log: ServerLog) {
    this.#options = options
    this.#log = log
    this.#own = new HttpConnections(server)
    this.#borrowed = new ServerConnections(server)
  }

  get paths(): readonly string[] {
    return this.#options.paths
  }

  /** Undefined before it is open. */
  get transport(): 'shm' | 'socket' | undefined {
    return this.#listeners[0]?.transport
  }

  /** Connections of either kind. */
  get connections(): number {
    return this.#own.size + this.#borrowed.size
  }

  statistics(): SessionStatistics[] {
    return this.#sessions.map((session) => session.statistics())
  }

  /** Serves every path, or none and throws why. */
  async open(): Promise<void> {
    const { paths, ...options } = this.#options
    try {
      for (const path of paths) this.#listeners.push(await listen({ ...options, path }))
    } catch (error) {
      await Promise.all(this.#listeners.map((listener) => listener.close()))
      throw error
    }
    for (const listener of this.#listeners) this.#serve(listener)
  }

  /**
   * Nobody new is accepted, and who is here agrees to start nothing new: no request is lost.
   *
   * @param ask false: clients are not asked
   */
  leave(ask: boolean): Promise<void> {
    this.#left ??= Promise.all(this.#listeners.map((listener) => listener.close())).then(
      async () => {
        if (!ask) return
        await within(LEAVE_MS, Promise.all(this.#sessions.map((session) => session.leave())))
      }
    )
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

function within(ms: number, work: Promise<unknown>): Promise<unknown> {
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise((resolve) => {
    timer = setTimeout(resolve, ms)
  })
  return Promise.race([work, timeout]).finally(() => clearTimeout(timer))
}
