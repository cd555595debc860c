import { connect, type NetConnectOpts, Socket } from 'node:net'
import type { Lease } from '../../adapter/shmipc/index.ts'
import { Leg } from './leg.ts'
import { outliveWrites } from './outlive-writes.ts'
import { resetOf } from './reset-of.ts'
import { SocketWriter } from './socket-writer.ts'
import type { Wire, WireOwner } from './wire.ts'

/**
 * Where every socket reads to: read, callback and what it leads to are one synchronous step, so an
 * idle connection holds no buffer.
 */
const SCRATCH = Buffer.allocUnsafeSlow(64 * 1024)
/** What may wait in libuv's hands before the source must pause. */
const HIGH_WATER_BYTES = 256 * 1024

/** What `net.Socket` has and its types do not. */
interface Wrapped {
  _handle: Handle | null
}

interface Handle {
  readonly fd?: number
  /** Bytes of the writes under way that the kernel has not taken. */
  readonly writeQueueSize?: number
  /** Where the next read goes. */
  useUserBuffer?(buffer: Uint8Array): void
}

/** Takes what a socket reads, where it lies. */
export interface ReadTarget {
  /** Where the next bytes go; undefined: to the owner, as ever, and this is told no more. */
  room(): Buffer | undefined
  /** So many bytes came to the room given last. */
  filled(bytes: number): void
}

/** A TCP connection or a Unix socket. */
export class SocketWire implements Wire {
  owner: WireOwner
  readonly leg: Leg | undefined
  readonly #socket: Socket
  readonly #writer: SocketWriter
  #error: Error | undefined
  /** Why nothing can be written any more, though there may be something to read. */
  #unwritable: Error | undefined
  /** It is to a server, whose end may be that of a response. */
  #connected = false
  /** Of a socket that asks where to read to. */
  #handle: Handle | undefined
  #target: ReadTarget | undefined
  /** Between a read and the choice of where the next one goes. */
  #telling = false
  /** The next read goes to the target's room, not to the scratch. */
  #armed = false

  /**
   * @param socket delivers to {@link onRead}, or emits 'data'
   * @param handle of a socket that is nothing but a socket
   */
  private constructor(socket: Socket, owner: WireOwner, shm: boolean, handle: Handle | undefined) {
    this.#socket = socket
    this.#writer = new SocketWriter(socket, handle?.fd)
    this.owner = owner
    this.leg = shm ? new Leg(socket, 'socket') : undefined
    socket.on('end', () => {
      // The error may have been reported to a write, and there is no other.
      const reset = this.#unwritable ?? this.#reset()
      if (reset === undefined) this.owner.onEnd()
      else socket.destroy(reset)
    })
    socket.on('drain', () => this.owner.onDrain())
    // 'close' follows and does what is to be done; a peer may reset whenever it likes.
    socket.on('error', (error) => {
      this.#error = error
    })
    socket.on('close', () => {
      this.#target = undefined
      this.#armed = false
      this.owner.onClose(this.#error)
    })
  }

  /**
   * Takes a connection from a server with `pauseOnConnect`. Its handle moves to a socket that reads
   * into the scratch: Node has no such option for accepted ones.
   */
  static accept(accepted: Socket, owner: WireOwner): SocketWire {
    const handle = (accepted as unknown as Wrapped)._handle
    ;(accepted as unknown as Wrapped)._handle = null
    let wire: SocketWire | undefined
    const socket = new Socket({
      handle,
      allowHalfOpen: true,
      writableHighWaterMark: HIGH_WATER_BYTES,
      onread: {
        buffer: () => wire?.room() ?? SCRATCH,
        callback: (bytes: number) => wire?.onRead(bytes) ?? true
      }
    } as ConstructorParameters<typeof Socket>[0])
    wire = new SocketWire(socket, owner, false, handle ?? undefined)
    wire.#handle = handle ?? undefined
    // The server counts it until then.
    socket.on('close', () => accepted.destroy())
    return wire
  }

  /** @param socket anybody's, in use by nobody else */
  static over(socket: Socket, owner: WireOwner, shm: boolean): SocketWire {
    const wire = new SocketWire(socket, owner, shm, undefined)
    socket.allowHalfOpen = true
    socket.on('data', (chunk: Buffer) => wire.owner.onBytes(chunk, undefined))
    return wire
  }

  /** {@link over} one to a server, whose answer is read whatever became of the request. */
  static overConnected(socket: Socket, owner: WireOwner): SocketWire {
    const wire = SocketWire.over(socket, owner, true)
    wire.#outliveWrites()
    return wire
  }

  /**
   * Begins to connect; what the server says is read whatever became of the request. `connected` or `failed` is called, unless it is destroyed before.
   */
  static connect(
    options: NetConnectOpts,
    connected: (attach: (owner: WireOwner) => SocketWire) => void,
    failed: (error: Error) => void
  ): { destroy(): void } {
    let wire: SocketWire | undefined
    const socket = connect({
      ...options,
      allowHalfOpen: true,
      writableHighWaterMark: HIGH_WATER_BYTES,
      onread: { buffer: SCRATCH, callback: (bytes: number) => wire?.onRead(bytes) ?? true }
    } as NetConnectOpts & { writableHighWaterMark: number })
    socket.once('error', failed)
    socket.once('connect', () => {
      socket.off('error', failed)
      connected((owner) => {
        const handle = (socket as unknown as Wrapped)._handle ?? undefined
        wire = new SocketWire(socket, owner, false, handle)
        wire.#outliveWrites()
        return wire
      })
    })
    return socket
  }

  get remoteAddress(): string {
    const address = this.#socket.remoteAddress ?? ''
    return address.startsWith('::ffff:') ? address.slice(7) : address
  }

  get closed(): boolean {
    return this.#socket.destroyed
  }

  get retiring(): boolean {
    return (this.#socket as Socket & { retiring?: boolean }).retiring === true
  }

  get blocked(): boolean {
    return this.#unwritable !== undefined || this.#writer.blocked
  }

  get backlog(): number {
    if (this.#unwritable !== undefined) return 1
    const { writableLength } = this.#socket
    if (writableLength === 0) return 0
    // The stream counts whole writes, libuv each byte the kernel has taken of them.
    const handle = (this.#socket as unknown as Wrapped)._handle
    return writableLength + (handle?.writeQueueSize ?? 0)
  }

  write(before: string, body: Buffer | undefined, after: string, lease: Lease | undefined): void {
    this.#writer.write(before, body, after, lease)
  }

  /** Whether `readInto` can be used: only while bytes are told, when the next read is still open. */
  get mayReadInto(): boolean {
    if (!this.#telling || this.#target !== undefined) return false
    return this.#handle?.useUserBuffer !== undefined
  }

  /** What is read goes to `target` until it has no more room. */
  readInto(target: ReadTarget): void {
    this.#target = target
  }

  /** What is read goes there, as long as it has room. */
  readsInto(target: ReadTarget): boolean {
    return this.#target === target
  }

  /** From here on nothing is written to the target's room. */
  endReadInto(): void {
    this.#target = undefined
    // libuv has been told where the next read goes.
    if (this.#armed && !this.#socket.destroyed) this.#handle?.useUserBuffer?.(SCRATCH)
    this.#armed = false
  }

  end(): void {
    this.#socket.end()
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  /** What has been read of a socket is private memory, and nobody's window. */
  settle(): void {}

  destroy(error?: Error): void {
    this.#socket.destroy(error)
  }

  reset(error: Error): void {
    const socket = this.#socket
    // What Socket.resetAndDestroy() sets; but that first flushes and sends FIN, which an HTTP/1.0
    // client takes for the end of the body. Only a TCP connection can be reset.
    if (socket.remoteAddress !== undefined) Object.assign(socket, { resetAndClosing: true })
    socket.destroy(error)
  }

  /** An end that is none. */
  #reset(): Error | undefined {
    const fd = (this.#socket as unknown as Wrapped)._handle?.fd ?? -1
    return this.#connected && fd >= 0 ? resetOf(fd) : undefined
  }

  #outliveWrites(): void {
    this.#connected = true
    const socket = this.#socket
    outliveWrites(socket, (error) => {
      this.#unwritable = error
      if (socket.readableEnded) socket.destroy(error)
    })
  }

  /** Bytes of the buffer given last have been filled. Returns whether to read on. */
  private onRead(bytes: number): boolean {
    this.#telling = true
    try {
      if (this.#armed) this.#target?.filled(bytes)
      else this.owner.onBytes(SCRATCH.subarray(0, bytes), undefined)
    } finally {
      this.#telling = false
    }
    return true
  }

  /** Where the next read goes: libuv keeps it until bytes come, or the socket is closed. */
  private room(): Buffer {
    const room = this.#target?.room()
    this.#armed = room !== undefined
    if (room === undefined) this.#target = undefined
    return room ?? SCRATCH
  }
}
