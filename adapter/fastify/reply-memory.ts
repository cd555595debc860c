import type { FastifyRequest } from 'fastify'
import { ShmStream } from '../shmipc/index.ts'

/** Memory for the body of one response: where the client reads it, so that sending copies nothing. */
export class ReplyMemory {
  readonly #stream: ShmStream | undefined

  /** @internal */
  constructor({ raw: { method, socket } }: FastifyRequest) {
    // Nothing would be sent from it.
    const useless = method === 'HEAD' || socket?.destroyed === true
    this.#stream = socket instanceof ShmStream && !useless ? socket : undefined
  }

  /**
   * `bytes` zero bytes, to be filled and then sent once:
   *
   *     const body = reply.shm.alloc(1024)
   *     return body.fill('x')
   *
   * The Buffer is empty after it was sent, or given to be sent to a client that has left. One that
   * is given to nobody goes back when it is collected. Ordinary memory, which is copied, for a
   * client without shared memory, when that is short, and for HEAD.
   */
  alloc(bytes: number): Buffer {
    return this.#stream?.alloc(bytes) ?? Buffer.alloc(bytes)
  }

  /** As `alloc`, with whatever bytes this client's memory held before: all must be written. */
  allocUnsafe(bytes: number): Buffer {
    return this.#stream?.allocUnsafe(bytes) ?? Buffer.allocUnsafe(bytes)
  }
}
