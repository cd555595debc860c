/**
 * Serves byte streams with the codec of a `node:http` server: the borrowed codec.
 *
 * A stream emitted as `connection` gets the whole of node:http, except what Node does only for
 * servers that listen and connections they accepted: deadlines, keeping count, closing. That is done
 * here.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { HEAD_GRACE_MS } from './server/connections.ts'

/** How often deadlines are looked at, in ms. Node's `connectionsCheckingInterval` is 30 s. */
const SWEEP_MS = 1000

interface Connection {
  readonly stream: Duplex
  /** Requests whose response has not closed. */
  active: number
  request: IncomingMessage | undefined
  served: number
  /** Bytes read when the last response closed: more than that is the next request's head. */
  bytesAtIdle: number
  /** When the present phase began (idle, head or request), ms of performance.now(). */
  since: number
  phase: 'idle' | 'head' | 'request'
  /** Bytes both ways when last looked at, and since when as many. */
  moved: number
  quietSince: number
}

export class ServerConnections {
  readonly #server: Server
  readonly #connections = new Map<object, Connection>()
  #timer: NodeJS.Timeout | undefined
  #draining = false
  #whenDrained: (() => void) | undefined
  #whenEmpty: (() => void) | undefined

  constructor(server: Server) {
    this.#server = server
    server.prependListener('request', this.#onRequest)
  }

  get size(): number {
    return this.#connections.size
  }

  add(stream: Duplex): void {
    const now = performance.now()
    this.#connections.set(stream, {
      stream,
      active: 0,
      request: undefined,
      served: 0,
      bytesAtIdle: 0,
      since: now,
      phase: 'idle',
      moved: 0,
      quietSince: now
    })
    stream.once('close', () => {
      this.#connections.delete(stream)
      if (!this.#speaksHttp()) this.#whenDrained?.()
      if (this.#connections.size > 0) return
      clearInterval(this.#timer)
      this.#timer = undefined
      this.#whenEmpty?.()
    })
    this.#timer ??= setInterval(() => this.#sweep(), SWEEP_MS).unref()
    if (!(stream instanceof Socket)) endInTurnOfItsOwn(stream)
    this.#server.emit('connection', stream)
  }

  /** As that of `HttpConnections`. */
  async drain(timeoutMs: number): Promise<void> {
    this.#draining = true
    for (const connection of this.#connections.values()) {
      if (bytesRead(connection.stream) === connection.bytesAtIdle) this.#endIfIdle(connection)
    }
    if (this.#speaksHttp()) {
      const heads = setTimeout(() => {
        for (const connection of this.#connections.values()) this.#endIfIdle(connection)
      }, HEAD_GRACE_MS)
      const deadline = setTimeout(() => {
        for (const { stream } of this.#connections.values()) {
          if (!isUpgraded(stream)) stream.destroy()
        }
      }, timeoutMs)
      await new Promise<void>((resolve) => {
        this.#whenDrained = resolve
      })
      clearTimeout(heads)
      clearTimeout(deadline)
    }
    this.#server.off('request', this.#onRequest)
  }

  /** Resolves when upgraded connections are closed, too; after `timeoutMs` they are destroyed. */
  async end(timeoutMs: number): Promise<void> {
    if (this.#connections.size === 0) return
    const deadline = setTimeout(() => this.destroy(), timeoutMs)
    await new Promise<void>((resolve) => {
      this.#whenEmpty = resolve
    })
    clearTimeout(deadline)
  }

  /** Destroys every connection. */
  destroy(): void {
    for (const { stream } of this.#connections.values()) stream.destroy()
  }

  readonly #onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    const connection = this.#connections.get(request.socket)
    if (connection === undefined) return
    connection.active++
    connection.request = request
    this.#enter(connection, 'request')
    if (this.#draining) response.setHeader('connection', 'close')
    response.once('close', () => {
      connection.active--
      connection.served++
      if (connection.active > 0) return
      connection.request = undefined
      connection.bytesAtIdle = bytesRead(connection.stream)
      this.#enter(connection, 'idle')
      if (this.#draining) this.#endIfIdle(connection)
    })
  }

  #speaksHttp(): boolean {
    return [...this.#connections.values()].some(({ stream }) => !isUpgraded(stream))
  }

  #enter(connection: Connection, phase: Connection['phase']): void {
    connection.phase = phase
    connection.since = performance.now()
  }

  #endIfIdle({ stream, active }: Connection): void {
    if (active === 0 && !isUpgraded(stream)) destroySoon(stream)
  }

  #sweep(): void {
    const { headersTimeout, requestTimeout, keepAliveTimeout } = this.#server
    const now = performance.now()
    // Nothing tells of an upgrade.
    if (!this.#speaksHttp()) this.#whenDrained?.()
    for (const connection of this.#connections.values()) {
      if (isUpgraded(connection.stream)) continue
      this.#checkQuiet(connection, now)
      const elapsed = now - connection.since
      switch (connection.phase) {
        case 'idle':
          if (bytesRead(connection.stream) > connection.bytesAtIdle) {
            this.#enter(connection, 'head')
          } else if (connection.served === 0) {
            if (isOver(elapsed, headersTimeout)) this.#timeOut(connection)
          } else if (isOver(elapsed, keepAliveTimeout)) {
            destroySoon(connection.stream)
          }
          break
        case 'head':
          if (isOver(elapsed, headersTimeout)) this.#timeOut(connection)
          break
        case 'request':
          if (connection.request?.complete === false && isOver(elapsed, requestTimeout)) {
            this.#timeOut(connection)
          }
          break
      }
    }
  }

  /** `server.timeout`. A socket has a timer for that; our streams' `setTimeout` does nothing. */
  #checkQuiet(connection: Connection, now: number): void {
    const { stream } = connection
    if (this.#server.timeout === 0 || stream instanceof Socket) return
    const moved = bytesRead(stream) + bytesWritten(stream)
    const changed = moved !== connection.moved
    if (!changed && !isOver(now - connection.quietSince, this.#server.timeout)) return
    connection.moved = moved
    connection.quietSince = now
    // node:http listens, and destroys the connection unless somebody else handles it.
    if (!changed) stream.emit('timeout')
  }

  /** As node:http does: whoever handles `clientError` answers 408 and destroys. */
  #timeOut({ stream }: Connection): void {
    const error = Object.assign(new Error('Request timeout'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' })
    if (!this.#server.emit('clientError', error, stream)) {
      stream.write('HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n')
      stream.destroy(error)
    }
  }
}

/**
 * The end of a socket arrives in a turn of the loop behind that of its bytes, when handlers that wait
 * for nothing have answered. node:http hears no more of a response once it has seen the end.
 */
function endInTurnOfItsOwn(stream: Duplex): void {
  const { push } = stream
  stream.push = (chunk, encoding) => {
    if (chunk !== null) return push.call(stream, chunk, encoding)
    setImmediate(() => {
      if (!stream.destroyed) push.call(stream, null)
    })
    return false
  }
}

function isOver(elapsed: number, timeout: number): boolean {
  return timeout > 0 && elapsed > timeout
}

function bytesWritten(stream: Duplex): number {
  return (stream as Duplex & { bytesWritten?: number }).bytesWritten ?? 0
}

function bytesRead(stream: Duplex): number {
  return (stream as Duplex & { bytesRead?: number }).bytesRead ?? 0
}

/** After an upgrade node:http has let go of the stream, and it may be quiet for long. */
function isUpgraded(stream: Duplex): boolean {
  return (stream as Duplex & { parser?: unknown }).parser === null
}

function destroySoon(stream: Duplex): void {
  const socket = stream as Duplex & { destroySoon?: () => void }
  if (socket.destroySoon === undefined) socket.end(() => socket.destroy())
  else socket.destroySoon()
}
