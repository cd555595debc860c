import { ShmStream } from '../shmipc/index.ts'

/** Memory for the body of one response: where the client reads it, so that sending copies nothing. */
export class ReplyMemory {
  readonly #socket: unknown

  /** @internal */
  constructor(socket: unknown) {
    this.#socket = socket
  }

  /**
   * `bytes` zero bytes, to be filled and then sent once:
   *
   *     const body = reply.shm.alloc(1024)
   *     return body.fill('x')
   *
   * The Buffer is empty after it was sent. Ordinary memory, which is copied, for a client without
   * shared memory or when that is short.
   */
  alloc(bytes: number): Buffer {
    return this.#socket instanceof ShmStream ? this.#socket.alloc(bytes) : Buffer.alloc(bytes)
  }

  /** As `alloc`, with whatever bytes this client's memory held before: all must be written. */
  allocUnsafe(bytes: number): Buffer {
    return this.#socket instanceof ShmStream
      ? this.#socket.allocUnsafe(bytes)
      : Buffer.allocUnsafe(bytes)
  }
}
