/** One end of a connection that exchanges messages of a known size, over any of the transports. */
import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import type { ShmStream } from '../../adapter/index.ts'
import type { Load, Transport } from './cells.ts'

/** Bytes a receiver compares at once: the expected ones stay in the cache, whatever the message. */
const BLOCK_BYTES = 64 * 1024
/** Below, `allocUnsafe` gives ordinary memory, whose copy is cheaper than a slice of its own. */
const MIN_SHARED_BYTES = 16 * 1024
/** Messages are of one byte, another than the message before. */
const FILLS = [0x55, 0xaa] as const
const EXPECTED = FILLS.map((fill) => Buffer.alloc(BLOCK_BYTES, fill))

/** How an endpoint's bytes travel. */
interface Wire {
  /** Memory for the next message. What it held before may still be there. */
  allocate(bytes: number): Buffer
  /** The endpoint does not touch `message` until it is answered. */
  write(message: Buffer): void
  end(): void
}

export class Endpoint {
  readonly #stream: Duplex
  /** A message has arrived in full. */
  onMessage: () => void = () => undefined
  readonly #wire: Wire
  #load: Load | undefined
  #sent = 0
  #received = 0
  /** Of the message that is arriving. */
  #arrived = 0

  /** @param transport `shm`: the stream's channel, which is what requests travel by */
  constructor(stream: Duplex, transport: Transport) {
    this.#stream = stream
    const arrive = (chunk: Buffer) => this.#arrive(chunk)
    this.#wire =
      transport === 'shm' ? channelOf(stream as ShmStream, arrive) : duplexOf(stream, arrive)
  }

  /** Ends this direction; the other end does the same. Resolves when both have. */
  async close(): Promise<void> {
    this.#wire.end()
    await once(this.#stream, 'close')
  }

  /** Between two messages only. */
  begin(load: Load): void {
    this.#load = load
    this.#sent = 0
    this.#received = 0
  }

  /** The previous message must have been answered: its memory may be used again. */
  send(): void {
    const { bytes, touched } = this.#load!
    const message = this.#wire.allocate(bytes)
    const fill = FILLS[this.#sent++ & 1]!
    if (touched) message.fill(fill)
    this.#wire.write(message)
  }

  #arrive(chunk: Buffer): void {
    const { bytes, touched } = this.#load!
    if (touched && !isExpected(chunk, EXPECTED[this.#received & 1]!)) {
      fail(new Error(`message ${this.#received}: other bytes than were sent`))
    }
    this.#arrived += chunk.length
    if (this.#arrived < bytes) return
    if (this.#arrived > bytes) fail(new Error(`message ${this.#received}: more than was sent`))
    this.#arrived = 0
    this.#received++
    this.onMessage()
  }
}

/** One buffer again and again: what suits a copying transport best. */
function ownMemory(): (bytes: number) => Buffer {
  let memory: Buffer = Buffer.alloc(0)
  return (bytes) => {
    if (memory.length !== bytes) memory = Buffer.alloc(bytes)
    return memory
  }
}

function duplexOf(stream: Duplex, arrive: (chunk: Buffer) => void): Wire {
  stream.on('data', arrive)
  stream.on('error', fail)
  stream.on('end', () => stream.end())
  return {
    allocate: ownMemory(),
    write: (message) => stream.write(message),
    end: () => stream.end()
  }
}

function channelOf(stream: ShmStream, arrive: (chunk: Buffer) => void): Wire {
  const channel = stream.takeOver({
    onBytes: arrive,
    onDrain: () => undefined,
    onEnd: () => {
      channel.end()
      channel.destroy()
    },
    onClose: (error) => {
      if (error !== undefined) fail(error)
    }
  })
  const small = ownMemory()
  return {
    allocate: (bytes) => (bytes < MIN_SHARED_BYTES ? small(bytes) : stream.allocUnsafe(bytes)),
    write: (message) => channel.write('', message, 'latin1', ''),
    end: () => channel.end()
  }
}

/** Reads every byte, as fast as memory gives them. */
function isExpected(chunk: Buffer, expected: Buffer): boolean {
  for (let at = 0; at < chunk.length; at += BLOCK_BYTES) {
    const bytes = Math.min(BLOCK_BYTES, chunk.length - at)
    if (expected.compare(chunk, at, at + bytes, 0, bytes) !== 0) return false
  }
  return true
}

/** A measurement that went wrong is none. */
function fail(error: Error): never {
  console.error(error)
  process.exit(1)
}
