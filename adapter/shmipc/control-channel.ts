import { Socket } from 'node:net'
import { ProtocolError } from '../errors.ts'
import {
  CONTROL_HEADER_BYTES,
  type ControlHeader,
  ControlType,
  FALLBACK_PREFIX_BYTES,
  fallbackPrefix,
  hotRestart,
  POLLING,
  readControlHeader,
  streamClose
} from './control-message.ts'

export interface ControlHandler {
  /** Called before any message of types 2 and 3: what the ring holds was sent earlier. */
  beforeMessage(): void
  /**
   * Something but a wake-up is about to be sent. A plain shmipc peer takes messages as they come, so
   * the wake-up for what is in the ring must be in front of it.
   */
  beforeSending(): void
  onPolling(): void
  onStreamClose(streamId: number): void
  onHotRestart(epoch: bigint): void
  onHotRestartAck(epoch: bigint): void
  /** `data` is the callee's: private memory. */
  onFallback(streamId: number, status: number, data: Buffer): void
  /** Once. With an error when it was not an orderly end of stream. */
  onEnd(error: Error | undefined): void
}

/**
 * The Unix socket of a session after its handshake: fallback data, plain shmipc's wake-ups, and the
 * sign of life, for its end of stream is how a peer's death is noticed.
 */
export class ControlChannel {
  /** Owned by the socket. */
  readonly fd: number
  readonly #socket: Socket
  readonly #handler: ControlHandler
  #pending: Buffer[] = []
  #pendingBytes = 0
  #header: ControlHeader | undefined
  #ended = false
  /** Bytes that came, and those of them whose messages have been handled. */
  #received = 0
  #handled = 0
  /** In order of `at`: what waits for so many bytes to be handled. */
  readonly #catchingUp: { readonly at: number; readonly then: () => void }[] = []

  constructor(fd: number, handler: ControlHandler) {
    this.fd = fd
    this.#handler = handler
    this.#socket = new Socket({ fd, readable: true, writable: true })
    this.#socket.on('data', (chunk: Buffer) => this.#onData(chunk))
    this.#socket.on('error', (error) => this.#end(error))
    this.#socket.on('close', () => this.#end(undefined))
    this.#socket.unref()
  }

  /** Keeps the process alive, or not. Not at first. */
  ref(): void {
    this.#socket.ref()
  }

  unref(): void {
    this.#socket.unref()
  }

  sendPolling(): void {
    this.#socket.write(POLLING)
  }

  sendStreamClose(streamId: number): void {
    this.#handler.beforeSending()
    this.#socket.write(streamClose(streamId))
  }

  sendHotRestart(epoch: bigint): void {
    this.#handler.beforeSending()
    this.#socket.write(hotRestart(ControlType.hotRestart, epoch))
  }

  sendHotRestartAck(epoch: bigint): void {
    this.#handler.beforeSending()
    this.#socket.write(hotRestart(ControlType.hotRestartAck, epoch))
  }

  /** Bytes the kernel has not taken yet. */
  get unsent(): number {
    return this.#socket.writableLength
  }

  /**
   * Calls `then` when all that the peer has sent by now is handled; at once when it is.
   *
   * @param unread bytes the kernel holds
   */
  whenCaughtUp(unread: number, then: () => void): void {
    const at = this.#received + unread
    if (at <= this.#handled) then()
    else this.#catchingUp.push({ at, then })
  }

  /** `written` is called when the kernel has taken `data`, of which this end keeps a copy. */
  sendFallback(
    streamId: number,
    status: number,
    data: Buffer | undefined,
    written?: (error?: Error | null) => void
  ): void {
    this.#handler.beforeSending()
    const prefix = fallbackPrefix(streamId, status, data?.length ?? 0)
    // While it waits for the kernel its owner may be gone, and its memory with it: a Buffer that is
    // detached has no bytes, and everything behind it would be read as part of this message.
    this.#socket.write(data === undefined ? prefix : Buffer.concat([prefix, data]), written)
  }

  destroy(): void {
    this.#ended = true
    this.#socket.destroy()
  }

  #end(error: Error | undefined): void {
    if (this.#ended) return
    this.#ended = true
    this.#socket.destroy()
    this.#handler.onEnd(error)
  }

  #onData(chunk: Buffer): void {
    this.#pending.push(chunk)
    this.#pendingBytes += chunk.length
    this.#received += chunk.length
    this.#handleAll()
  }

  #handleAll(): void {
    try {
      while (!this.#ended && this.#next()) {}
    } catch (error) {
      if (error instanceof ProtocolError) {
        this.#end(error)
        return
      }
      // A listener threw: the messages after this one are other streams'.
      setImmediate(() => this.#handleAll())
      throw error
    }
  }

  /** Handles one message if it is complete. */
  #next(): boolean {
    if (this.#header === undefined) {
      if (this.#pendingBytes < CONTROL_HEADER_BYTES) return false
      this.#header = readControlHeader(this.#take(CONTROL_HEADER_BYTES))
    }
    const { length, type } = this.#header
    const rest = length - CONTROL_HEADER_BYTES
    if (this.#pendingBytes < rest) return false
    this.#header = undefined
    const payload = this.#take(rest)
    try {
      this.#handle(type, payload)
    } finally {
      this.#handled += length
      this.#tellCaughtUp()
    }
    return true
  }

  #handle(type: ControlType, payload: Buffer): void {
    switch (type) {
      case ControlType.polling:
        this.#handler.onPolling()
        break
      case ControlType.streamClose:
        this.#handler.beforeMessage()
        this.#handler.onStreamClose(payload.readUInt32BE(0))
        break
      case ControlType.fallbackData:
        this.#handler.beforeMessage()
        this.#handler.onFallback(
          payload.readUInt32BE(0),
          payload.readUInt32BE(4) & 0xff,
          payload.subarray(FALLBACK_PREFIX_BYTES)
        )
        break
      case ControlType.hotRestart:
        this.#handler.onHotRestart(payload.readBigUInt64BE(0))
        break
      case ControlType.hotRestartAck:
        this.#handler.beforeMessage()
        this.#handler.onHotRestartAck(payload.readBigUInt64BE(0))
        break
    }
  }

  #tellCaughtUp(): void {
    while (!this.#ended && (this.#catchingUp[0]?.at ?? Number.POSITIVE_INFINITY) <= this.#handled) {
      this.#catchingUp.shift()!.then()
    }
  }

  #take(bytes: number): Buffer {
    const first = this.#pending[0]
    this.#pendingBytes -= bytes
    if (first !== undefined && first.length >= bytes) {
      if (first.length === bytes) this.#pending.shift()
      else this.#pending[0] = first.subarray(bytes)
      return first.subarray(0, bytes)
    }
    const all = Buffer.concat(this.#pending)
    this.#pending = all.length > bytes ? [all.subarray(bytes)] : []
    return all.subarray(0, bytes)
  }
}
