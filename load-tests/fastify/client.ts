import { once } from 'node:events'
import { connect as connectSocket } from 'node:net'
import type { ShmSession } from '../../adapter/index.ts'

const HEAD_END = Buffer.from('\r\n\r\n')
const CONTENT_LENGTH = Buffer.from('content-length: ')

/** One connection that sends requests in turn, each when the response before has arrived. */
export class Client {
  /** A response has arrived in full. */
  onResponse: () => void = () => undefined
  readonly #write: (request: Buffer) => void
  readonly #end: () => Promise<void>
  /** Of the response that is arriving; 0 between two. */
  #missing = 0

  static overShm(session: ShmSession): Client {
    const stream = session.openStream()
    const client: Client = new Client(
      (request) => channel.write('', request, 'latin1', ''),
      async () => {
        // The app closes those that were idle for long.
        if (stream.closed) return
        const closed = once(stream, 'close')
        channel.end()
        await closed
      }
    )
    const channel = stream.takeOver({
      onBytes: (chunk) => client.#arrive(chunk),
      onDrain: () => undefined,
      onEnd: () => channel.destroy(),
      onClose: () => undefined
    })
    return client
  }

  static async overSocket(path: string): Promise<Client> {
    const socket = connectSocket({ path })
    await once(socket, 'connect')
    const client = new Client(
      (request) => socket.write(request),
      async () => {
        if (socket.closed) return
        const closed = once(socket, 'close')
        socket.end()
        await closed
      }
    )
    socket.on('data', (chunk: Buffer) => client.#arrive(chunk))
    return client
  }

  private constructor(write: (request: Buffer) => void, end: () => Promise<void>) {
    this.#write = write
    this.#end = end
  }

  send(request: Buffer): void {
    this.#write(request)
  }

  close(): Promise<void> {
    return this.#end()
  }

  #arrive(chunk: Buffer): void {
    // A head comes whole: it is smaller than any piece these transports make.
    if (this.#missing === 0) this.#missing = lengthOf(chunk)
    this.#missing -= chunk.length
    if (this.#missing < 0) throw new Error('more than one response to one request')
    if (this.#missing === 0) this.onResponse()
  }
}

function lengthOf(chunk: Buffer): number {
  const headEnd = chunk.indexOf(HEAD_END)
  const field = chunk.indexOf(CONTENT_LENGTH)
  if (chunk[9] !== 0x32 || headEnd === -1 || field === -1 || field > headEnd) {
    throw new Error(`not the response expected: ${chunk.toString('latin1', 0, 200)}`)
  }
  let length = 0
  for (let at = field + CONTENT_LENGTH.length; chunk[at]! >= 0x30; at++) {
    length = length * 10 + chunk[at]! - 0x30
  }
  return headEnd + HEAD_END.length + length
}
