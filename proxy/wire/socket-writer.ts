import type { Socket } from 'node:net'
import { type Lease, sharedMemory } from '../../adapter/shmipc/index.ts'

/** Up to here a body joins its head as text, which the kernel is given from the stack. */
const MAX_TEXT_BYTES = 2 * 1024
/** Up to here copying the parts into one buffer is cheaper than a vectored write of them. */
const MAX_JOINED_BYTES = 16 * 1024
/** Text the core takes with one call. */
const MAX_SENT_TEXT_BYTES = 16 * 1024

/** Past the stream, whose way to the same system call takes longer than the call's own way in. */
const sendNow = sharedMemory().addon?.sendNow

/**
 * The writing side of a socket. What the kernel takes at once goes by a call of our own, the rest
 * through the stream, which waits for room, tells of it, and finds out what is wrong.
 */
export class SocketWriter {
  readonly #socket: Socket
  /** -1: everything goes through the stream. */
  readonly #fd: number

  /** @param fd that of the socket while it is not destroyed; undefined when it is not known */
  constructor(socket: Socket, fd: number | undefined) {
    this.#socket = socket
    this.#fd = sendNow === undefined ? -1 : (fd ?? -1)
  }

  get blocked(): boolean {
    // write() also returns false when everything went out at once; only what is left counts.
    return this.#socket.writableNeedDrain && this.#socket.writableLength > 0
  }

  write(before: string, body: Buffer | undefined, after: string, lease: Lease | undefined): void {
    const bytes = before.length + (body === undefined ? 0 : body.length) + after.length
    const sent = this.#sendNow(before, body, after)
    if (sent === 0) this.#stream(before, body, after, lease)
    else if (sent < bytes) this.#streamFrom(sent, before, body, after, lease)
  }

  /** Returns how many bytes went; none while others wait to go before them. */
  #sendNow(before: string, body: Buffer | undefined, after: string): number {
    const socket = this.#socket
    // `writable` is false from end() or destroy() on: then the descriptor may be somebody else's.
    if (this.#fd === -1 || !socket.writable || socket.writableLength > 0) return 0
    if (before.length + after.length > MAX_SENT_TEXT_BYTES) return 0
    return sendNow!(this.#fd, before, body, after)
  }

  #streamFrom(
    sent: number,
    before: string,
    body: Buffer | undefined,
    after: string,
    lease: Lease | undefined
  ): void {
    const ofBody = sent - before.length
    if (ofBody < 0) this.#stream(before.slice(sent), body, after, lease)
    else if (body !== undefined && ofBody < body.length) {
      this.#stream('', body.subarray(ofBody), after, lease)
    } else this.#stream(after.slice(ofBody - (body?.length ?? 0)), undefined, '', undefined)
  }

  #stream(before: string, body: Buffer | undefined, after: string, lease: Lease | undefined): void {
    const socket = this.#socket
    if (body === undefined) {
      socket.write(before + after, 'latin1')
      return
    }
    const bytes = before.length + body.length + after.length
    if (bytes <= MAX_TEXT_BYTES) {
      socket.write(before + body.toString('latin1') + after, 'latin1')
    } else if (bytes <= MAX_JOINED_BYTES) {
      socket.write(join(before, body, after, bytes))
    } else {
      socket.cork()
      if (before !== '') socket.write(before, 'latin1')
      // A client that does not read must not keep memory from those that do.
      if (lease?.mayHold !== true) socket.write(Buffer.from(body))
      else {
        lease.hold()
        socket.write(body, lease.drop)
      }
      if (after !== '') socket.write(after, 'latin1')
      socket.uncork()
    }
  }
}

function join(before: string, body: Buffer, after: string, bytes: number): Buffer {
  const joined = Buffer.allocUnsafe(bytes)
  let at = joined.write(before, 0, 'latin1')
  at += body.copy(joined, at)
  if (after !== '') joined.write(after, at, 'latin1')
  return joined
}
