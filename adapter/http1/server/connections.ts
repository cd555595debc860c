/** Serves wires with this package's own HTTP/1.1 codec, as connections of a node:http server. */
import type { Server } from 'node:http'
import { KnownFields } from '../known-fields.ts'
import { type ConnectionOwner, HttpConnection } from './connection.ts'
import { Deadlines } from './deadlines.ts'
import type { WireStream } from './wire-stream.ts'

/** How often deadlines are looked at, in ms. Node's `connectionsCheckingInterval` is 30 s. */
const SWEEP_MS = 1000
/** How long a drain waits for the rest of a head that is half there, ms. */
export const HEAD_GRACE_MS = 200

export class HttpConnections implements ConnectionOwner {
  readonly server: Server
  readonly known: KnownFields = new KnownFields()
  draining = false
  readonly #connections = new Map<HttpConnection, Deadlines>()
  /** No longer HTTP. */
  readonly #upgraded = new Set<WireStream>()
  #timer: NodeJS.Timeout | undefined
  #whenDrained: (() => void) | undefined
  #whenEmpty: (() => void) | undefined

  constructor(server: Server) {
    this.server = server
  }

  get size(): number {
    return this.#connections.size + this.#upgraded.size
  }

  add(stream: WireStream): void {
    const connection = new HttpConnection(this, stream)
    this.#connections.set(connection, new Deadlines(connection))
    stream.once('close', () => this.#remove(connection))
    this.#timer ??= setInterval(() => this.#sweep(), SWEEP_MS).unref()
    connection.start()
  }

  /** @internal */
  onUpgrade(connection: HttpConnection): void {
    this.#upgraded.add(connection.stream)
    this.#remove(connection)
  }

  /**
   * Ends idle connections, and each other one after its response. Resolves when none is left that
   * speaks HTTP; those still open after `timeoutMs` are destroyed. A head that is half there may
   * still come, but only soon: who sends half of one and no more does not keep a server.
   */
  async drain(timeoutMs: number): Promise<void> {
    this.draining = true
    for (const connection of this.#connections.keys()) connection.close()
    if (this.#connections.size === 0) return
    const heads = setTimeout(() => this.#endHeads(), HEAD_GRACE_MS)
    const deadline = setTimeout(() => this.#destroyAll(), timeoutMs)
    await new Promise<void>((resolve) => {
      this.#whenDrained = resolve
    })
    clearTimeout(heads)
    clearTimeout(deadline)
  }

  /** Resolves when upgraded connections are closed, too; after `timeoutMs` they are destroyed. */
  async end(timeoutMs: number): Promise<void> {
    if (this.size === 0) return
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
    this.#destroyAll()
    for (const stream of this.#upgraded) stream.destroy()
  }

  #endHeads(): void {
    for (const connection of this.#connections.keys()) connection.closeWithinHead()
  }

  #destroyAll(): void {
    for (const { stream } of this.#connections.keys()) stream.destroy()
  }

  #remove(connection: HttpConnection): void {
    if (!this.#connections.delete(connection)) this.#upgraded.delete(connection.stream)
    if (this.#connections.size === 0) {
      clearInterval(this.#timer)
      this.#timer = undefined
      this.#whenDrained?.()
    }
    if (this.size === 0) this.#whenEmpty?.()
  }

  #sweep(): void {
    const now = performance.now()
    for (const deadlines of this.#connections.values()) deadlines.check(now)
  }
}
