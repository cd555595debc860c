/** Serves wires with this package's own HTTP/1.1 codec, as connections of a node:http server. */
import type { Server } from 'node:http'
import { HttpConnection } from './connection.ts'
import { Deadlines } from './deadlines.ts'
import type { WireStream } from './wire-stream.ts'

/** How often deadlines are looked at, in ms. Node's `connectionsCheckingInterval` is 30 s. */
const SWEEP_MS = 1000

export class HttpConnections {
  readonly #server: Server
  readonly #connections = new Map<HttpConnection, Deadlines>()
  #timer: NodeJS.Timeout | undefined
  #draining = false
  #whenEmpty: (() => void) | undefined

  constructor(server: Server) {
    this.#server = server
  }

  get size(): number {
    return this.#connections.size
  }

  add(stream: WireStream): void {
    const connection = new HttpConnection(this.#server, stream, this.#isDraining)
    this.#connections.set(connection, new Deadlines(connection))
    stream.once('close', () => this.#remove(connection))
    this.#timer ??= setInterval(() => this.#sweep(), SWEEP_MS).unref()
    connection.start()
  }

  /**
   * Ends idle connections, and each other one after its response. Resolves when all are closed;
   * those still open after `timeoutMs` are destroyed.
   */
  async drain(timeoutMs: number): Promise<void> {
    this.#draining = true
    for (const connection of this.#connections.keys()) connection.close()
    if (this.#connections.size === 0) return
    const deadline = setTimeout(() => this.destroy(), timeoutMs)
    await new Promise<void>((resolve) => {
      this.#whenEmpty = resolve
    })
    clearTimeout(deadline)
  }

  /** Ends the connections on which no request is under way. */
  closeIdle(): void {
    for (const connection of this.#connections.keys()) {
      if (connection.phase === 'idle') connection.close()
    }
  }

  /** Destroys every connection. */
  destroy(): void {
    for (const { stream } of this.#connections.keys()) stream.destroy()
  }

  readonly #isDraining = (): boolean => this.#draining

  #remove(connection: HttpConnection): void {
    this.#connections.delete(connection)
    if (this.#connections.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#whenEmpty?.()
  }

  #sweep(): void {
    const now = performance.now()
    for (const deadlines of this.#connections.values()) deadlines.check(now)
  }
}
