/** One end of a connection that exchanges messages of a known size, over either transport. */
import type { Duplex } from 'node:stream'
import type { ShmStream } from '../../adapter/index.ts'
import type { Load } from './cells.ts'

/** Bytes a receiver compares at once: the expected ones stay in the cache, whatever the message. */
const BLOCK_BYTES = 64 * 1024
/** Messages are of one byte, another than the message before. */
const FILLS = [0x55, 0xaa] as const
const EXPECTED = FILLS.map((fill) => Buffer.alloc(BLOCK_BYTES, fill))

export abstract class Endpoint {
  readonly stream: Duplex
  /** A message has arrived in full. */
  onMessage: () => void = () => undefined
  protected load: Load | undefined
  #sent = 0
  #received = 0
  /** Of the message that is arriving. */
  #arrived = 0

  constructor(stream: Duplex) {
    this.stream = stream
    stream.on('data', (chunk: Buffer) => this.arrive(chunk))
    stream.on('error', fail)
    stream.on('end', () => stream.end())
  }

  /** Between two messages only. */
  begin(load: Load): void {
    this.load = load
    this.#sent = 0
    this.#received = 0
  }

  /** The previous message must have been answered: its memory is used again. */
  send(): void {
    this.transmit(this.load!, FILLS[this.#sent++ & 1]!)
  }

  protected abstract transmit(load: Load, fill: number): void

  protected arrive(chunk: Buffer): void {
    const { bytes, touched } = this.load!
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

/** A `net.Socket`, which sends one buffer again and again: what suits it best. */
export class SocketEndpoint extends Endpoint {
  #message: Buffer = Buffer.alloc(0)

  override begin(load: Load): void {
    super.begin(load)
    if (this.#message.length !== load.bytes) this.#message = Buffer.alloc(load.bytes)
  }

  protected transmit(load: Load, fill: number): void {
    if (load.touched) this.#message.fill(fill)
    this.stream.write(this.#message)
  }
}

/** A stream of shared memory, whose messages arrive as views. */
export class ShmEndpoint extends Endpoint {
  #message: Buffer = Buffer.alloc(0)

  constructor(stream: ShmStream) {
    super(stream)
    stream.lendTo((view) => this.arrive(view))
  }

  override begin(load: Load): void {
    super.begin(load)
    if (this.#message.length !== load.bytes) this.#message = Buffer.alloc(load.bytes)
  }

  protected transmit(load: Load, fill: number): void {
    if (load.touched) this.#message.fill(fill)
    this.stream.write(this.#message)
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
