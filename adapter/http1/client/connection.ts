import { equalsIgnoreCase } from '../characters.ts'
import { HttpParseError } from '../errors.ts'
import type { KnownFields } from '../known-fields.ts'
import type { Limits } from '../limits.ts'
import type { Headers, ResponseHead } from '../message.ts'
import { type ExpectOptions, ResponseReader } from '../response-reader.ts'
import type { Carrier, Lease, Wire, WireOwner } from '../wire.ts'
import type { Exchange } from './exchange.ts'

/** Who owns connections and gives them to exchanges. */
export interface ConnectionOwner {
  /** Of the responses of all its connections. */
  readonly known: KnownFields
  /** It can carry another exchange. */
  onFree(connection: ClientConnection): void
  /** It is gone, or given away; `error` unless we ended it. */
  onGone(connection: ClientConnection, error: Error | undefined): void
  /** It broke under `exchange`; `answered` when a byte of the response had come. */
  onBroken(connection: ClientConnection, exchange: Exchange, error: Error, answered: boolean): void
}

const NO_UPGRADE: ExpectOptions = {}

/** The peer ended or reset the connection while a response was awaited. */
export class ConnectionLostError extends Error {
  override readonly name: string = 'ConnectionLostError'
}

/** The peer said it would end the connection behind the response, and ended it within. */
export class ResponseCutShortError extends Error {
  override readonly name: string = 'ResponseCutShortError'
  /** The response had said how long it is. */
  readonly hadLength: boolean

  constructor(hadLength: boolean, options: ErrorOptions) {
    super('other side closed within a response', options)
    this.hadLength = hadLength
  }
}

/** One connection to a server: it carries one exchange at a time, and is reused. */
export class ClientConnection implements WireOwner {
  readonly carrier: Carrier
  /** Exchanges carried to their end. */
  served = 0
  /** While idle: when it is closed, on the pool's clock. */
  idleUntil = 0
  /** How long the peer lets it idle, in milliseconds; -1 when it did not say. */
  keepAliveMs = -1
  /** Serves what it carries, then ends. */
  retired = false
  readonly #owner: ConnectionOwner
  readonly #reader: ResponseReader
  readonly #wire: Wire
  #exchange: Exchange | undefined
  /** A byte of the response has come. */
  #answered = false
  /** The whole request has been handed to the wire. */
  #sent = false
  /** Of the response, not of those before it (1xx). */
  #head: ResponseHead | undefined
  #keepAliveValue = ''
  #paused = false
  #trailers: Headers | undefined
  #tunnel: ResponseHead | undefined
  /** Of the bytes being read. */
  #lease: Lease | undefined
  /** By this end: its 'close' tells nothing new. */
  #ending = false
  #closed: Promise<void> | undefined
  #gone = false

  constructor(carrier: Carrier, owner: ConnectionOwner, limits?: Limits) {
    this.carrier = carrier
    this.#owner = owner
    this.#reader = new ResponseReader(
      {
        onHead: (head) => this.#onHead(head),
        onBody: (chunk) => this.#exchange?.onBody(chunk, this.#lease),
        onEnd: (trailers) => {
          this.#trailers = trailers
        }
      },
      limits,
      owner.known
    )
    this.#wire = carrier.takeOver(this)
  }

  get exchange(): Exchange | undefined {
    return this.#exchange
  }

  /** Resolves when its carrier has closed. Whoever asks how often, that is one listener. */
  get closed(): Promise<void> {
    this.#closed ??= new Promise((resolve) => this.carrier.duplex.once('close', resolve))
    return this.#closed
  }

  get gone(): boolean {
    return this.#gone
  }

  /** No new exchange may be put on it. */
  get retiring(): boolean {
    return this.retired || this.carrier.retiring
  }

  get writableLength(): number {
    return this.#wire.writableLength
  }

  start(exchange: Exchange): void {
    const { upgrade } = exchange
    this.#exchange = exchange
    this.#answered = false
    this.#sent = false
    this.#head = undefined
    this.#reader.expect(exchange.method, upgrade === undefined ? NO_UPGRADE : { upgrade })
    this.carrier.ref()
    exchange.onConnection(this)
  }

  /** For the exchange it carries. See `Wire.write`. */
  write(
    before: string,
    body: Buffer | string | undefined,
    encoding: BufferEncoding,
    after: string
  ): boolean {
    return this.#wire.write(before, body, encoding, after)
  }

  /** The request is complete: behind it another may follow. */
  sent(): void {
    this.#sent = true
  }

  pause(): void {
    this.#paused = true
    this.#wire.pause()
  }

  resume(): void {
    this.#paused = false
    this.#wire.resume()
  }

  /** The exchange is over, whatever the peer still does. It is told nothing more. */
  abandon(): void {
    this.#exchange = undefined
    this.destroy()
  }

  destroy(error?: Error): void {
    if (this.#gone || this.#ending) return
    this.#ending = true
    this.carrier.duplex.destroy(error)
    this.#end(error)
  }

  onBytes(chunk: Buffer, lease: Lease | undefined): void {
    // Bytes nobody asked for would be read as the answer to the next request.
    if (this.#exchange === undefined) {
      this.destroy()
      return
    }
    this.#answered = true
    this.#lease = lease
    let read: number
    try {
      read = this.#reader.feed(chunk, 0)
    } catch (error) {
      this.#break(error as Error)
      return
    } finally {
      this.#lease = undefined
    }
    if (this.#trailers !== undefined) this.#complete(read === chunk.length)
    else if (this.#tunnel !== undefined) this.#giveAway(chunk.subarray(read), lease)
  }

  onDrain(): void {
    this.#exchange?.onDrain()
  }

  onEnd(): void {
    if (this.#exchange === undefined) {
      this.destroy()
      return
    }
    try {
      this.#reader.finish()
    } catch (error) {
      this.#break(error as Error)
      return
    }
    if (this.#trailers !== undefined) this.#complete(false)
    else this.#break(new ConnectionLostError('other side closed'))
  }

  onClose(error: Error | undefined): void {
    if (!this.#gone && !this.#ending)
      this.#break(error ?? new ConnectionLostError('other side closed'))
  }

  #onHead(head: ResponseHead): void {
    if (head.status >= 200) this.#head = head
    this.#limitIdle(head.headers)
    if (head.framing.kind === 'tunnel') this.#tunnel = head
    else this.#exchange?.onHead(head)
  }

  #complete(exact: boolean): void {
    const exchange = this.#exchange
    const trailers = this.#trailers as Headers
    this.#trailers = undefined
    // It lost interest while this was read, and the connection is gone.
    if (exchange === undefined) return
    this.#exchange = undefined
    this.served++
    if (this.#paused) this.resume()
    this.#wire.settle()
    if (this.#head?.keepAlive === true && exact && this.#sent && this.#wire.writableLength === 0) {
      this.#owner.onFree(this)
    } else {
      this.destroy()
    }
    exchange.onEnd(trailers)
  }

  /** The peer's `Keep-Alive: timeout=SECONDS`. */
  #limitIdle(headers: Headers): void {
    for (let i = 0; i < headers.length; i += 2) {
      const name = headers[i] as string
      if (name.length !== 10 || !equalsIgnoreCase(name, 0, 10, 'keep-alive')) continue
      const value = headers[i + 1] as string
      if (value === this.#keepAliveValue) return
      this.#keepAliveValue = value
      const seconds = /(?:^|[,; ])timeout=(\d{1,9})/i.exec(value)?.[1]
      this.keepAliveMs = seconds === undefined ? -1 : Number(seconds) * 1000
      return
    }
  }

  #giveAway(rest: Buffer, lease: Lease | undefined): void {
    const exchange = this.#exchange
    if (exchange === undefined) return
    const head = this.#tunnel as ResponseHead
    this.#exchange = undefined
    this.#end(undefined)
    this.carrier.giveBack(lease === undefined ? rest : Buffer.from(rest))
    exchange.onTunnel(head, this.carrier.duplex)
  }

  #break(error: Error): void {
    const exchange = this.#exchange
    this.#exchange = undefined
    this.#ending = true
    this.carrier.duplex.destroy()
    const truncated = error instanceof HttpParseError && error.code === 'HTTP_TRUNCATED'
    const lost = truncated ? this.#lost(error) : error
    // First: a pool that has this exchange again is not empty when the connection is gone.
    if (exchange !== undefined) this.#owner.onBroken(this, exchange, lost, this.#answered)
    this.#end(lost)
  }

  #lost(cause: HttpParseError): Error {
    const head = this.#head
    if (head === undefined || head.keepAlive) {
      return new ConnectionLostError('other side closed', { cause })
    }
    return new ResponseCutShortError(head.framing.kind === 'length', { cause })
  }

  #end(error: Error | undefined): void {
    if (this.#gone) return
    this.#gone = true
    this.#owner.onGone(this, error)
  }
}
