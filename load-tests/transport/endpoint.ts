/** One end of a connection that exchanges messages of a known size, over any of the transports. */
import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import type { HeldSlice, ShmStream } from '../../adapter/index.ts'
import type { Load, Transport } from './cells.ts'

/** Below, a copy is cheaper than a slice of its own. */
const MIN_SHARED_BYTES = 16 * 1024
/** Messages are of one byte, another than the message before. */
const FILLS = [0x55, 0xaa] as const

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
    // Reads every byte, as fast as memory gives them.
    if (touched && chunk.includes(FILLS[(this.#received + 1) & 1]!)) {
      fail(new Error(`message ${this.#received}: bytes of the message before`))
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
  let held: HeldSlice | undefined
  return {
    allocate: (bytes) => {
      held = bytes < MIN_SHARED_BYTES ? undefined : channel.hold(bytes)
      return held?.view ?? small(bytes)
    },
    write: (message) => {
      if (held === undefined) channel.write('', message, 'latin1', '')
      else channel.writeHeld(held, message.length)
    },
    end: () => channel.end()
  }
}

/** A measurement that went wrong is none. */
function fail(error: Error): never {
  console.error(error)
  process.exit(1)
}
