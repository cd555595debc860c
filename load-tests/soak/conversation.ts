import type { ShmStream } from '../../adapter/index.ts'
import type { Problem } from './messages.ts'
import { fill, firstDifference } from './pattern.ts'
import type { Random } from './random.ts'
import type { Script, Side } from './script.ts'

/** Longest pause of a slow reader, and longest hold of a view, ms. */
const MAX_PAUSE_MS = 15
const MAX_HOLD_MS = 5
/** After how many messages a writer lets others have the loop. */
const TURN_PROBABILITY = 0.2

/** What an end has done. */
export interface Tally {
  streams: number
  aborted: number
  messages: number
  /** Compared, byte by byte. */
  bytes: number
  views: number
}

export interface Setting {
  readonly tally: Tally
  /** Of this process: when it pauses and yields. What it writes follows from the stream's seed. */
  readonly random: Random
  readonly onProblem: (problem: Problem) => void
  /** Conversations that have not closed. */
  readonly open: Set<Conversation>
}

/** One end of a stream: writes by its script, compares what comes with the other end's. */
export class Conversation {
  readonly #stream: ShmStream
  readonly #name: string
  readonly #side: Side
  readonly #mine: Script
  readonly #theirs: Script
  readonly #setting: Setting
  /** There is no half-close: the client ends the stream when both directions are complete. */
  readonly #plain: boolean
  #nextMessage = 0
  #written = 0
  #received = 0
  /** All of it is in shared memory or with the kernel. */
  #flushed = false
  #ended = false
  #aborted = false
  #error: NodeJS.ErrnoException | undefined

  /**
   * @param name says which stream it was
   * @param received what has come before this reads on
   */
  constructor(
    stream: ShmStream,
    name: string,
    side: Side,
    scripts: Readonly<Record<Side, Script>>,
    setting: Setting,
    received: Buffer
  ) {
    this.#stream = stream
    this.#name = name
    this.#side = side
    this.#mine = scripts[side]
    this.#theirs = scripts[side === 'client' ? 'server' : 'client']
    this.#setting = setting
    this.#plain = stream.session.peer === 'shmipc'
    setting.tally.streams++
    setting.open.add(this)
    stream.on('error', (error) => {
      this.#error = error
    })
    stream.on('end', () => this.#onEnd())
    stream.once('close', () => this.#onClose())
    if (this.#mine.reading === 'hold') {
      stream.lendTo((view, lease) => {
        const offset = this.#received
        this.#onData(view)
        lease.hold()
        setTimeout(() => {
          this.#compare(view, offset, 'changed while it was held')
          lease.release()
        }, setting.random.below(MAX_HOLD_MS))
        setting.tally.views++
      })
    }
    if (received.length > 0) this.#onData(received)
    stream.on('data', (chunk: Buffer) => {
      this.#onData(chunk)
      if (this.#mine.reading === 'slow') this.#pause()
    })
    this.#write()
  }

  /** For one that should have closed. */
  complainOpen(): void {
    const { writableLength, writableEnded, readableLength, readableFlowing } = this.#stream
    this.#problem(
      `still open: ${this.#nextMessage} of ${this.#mine.messages.length} messages written, ` +
        `${this.#received} of ${this.#theirs.bytes} bytes received, ` +
        JSON.stringify({
          ended: this.#ended,
          writableEnded,
          writableLength,
          readableLength,
          readableFlowing,
          ...this.#stream.channel.statistics(),
          reading: this.#mine.reading,
          peerMayAbort: this.#peerMayAbort
        })
    )
  }

  readonly #write = (): void => {
    const { messages, pattern, abortsAfterMessages } = this.#mine
    const { tally, random } = this.#setting
    const stream = this.#stream
    for (;;) {
      if (!stream.writable) return
      if (this.#nextMessage === abortsAfterMessages) {
        this.#abort()
        return
      }
      const bytes = messages[this.#nextMessage]
      if (bytes === undefined) break
      this.#nextMessage++
      // Ordinary memory, or the memory it is sent from.
      const owner = random.chance(0.5) ? Buffer : stream
      const message = owner.allocUnsafe(bytes)
      fill(message, pattern, this.#written)
      this.#written += bytes
      tally.messages++
      if (!stream.write(message)) {
        stream.once('drain', this.#write)
        return
      }
      if (random.chance(TURN_PROBABILITY)) {
        setImmediate(this.#write)
        return
      }
    }
    if (!this.#plain) stream.end()
    // An empty write is taken when all before it has been.
    else stream.write('', () => this.#onFlushed())
  }

  #onFlushed(): void {
    this.#flushed = true
    this.#finishPlain()
  }

  #pause(): void {
    const { random } = this.#setting
    this.#stream.pause()
    setTimeout(() => this.#stream.resume(), random.below(MAX_PAUSE_MS))
  }

  #onData(chunk: Buffer): void {
    if (this.#received + chunk.length > this.#theirs.bytes) {
      this.#problem(`${this.#received + chunk.length} bytes came, ${this.#theirs.bytes} were sent`)
    }
    this.#compare(chunk, this.#received, 'is not what was sent')
    this.#received += chunk.length
    this.#setting.tally.bytes += chunk.length
    const { abortsAfterBytes } = this.#mine
    if (abortsAfterBytes !== undefined && this.#received > abortsAfterBytes) this.#abort()
    else if (this.#plain) this.#finishPlain()
  }

  #compare(bytes: Buffer, offset: number, complaint: string): void {
    const at = firstDifference(bytes, this.#theirs.pattern, offset)
    if (at === -1) return
    const found = bytes.subarray(at, at + 16).toString('hex')
    const expected = Buffer.alloc(Math.min(16, bytes.length - at))
    fill(expected, this.#theirs.pattern, offset + at)
    this.#problem(
      `byte ${offset + at} ${complaint}: ${found} instead of ${expected.toString('hex')}, ` +
        `in a chunk of ${bytes.length} at ${offset}`,
      true
    )
  }

  #finishPlain(): void {
    if (this.#side === 'server' || !this.#flushed) return
    if (this.#received === this.#theirs.bytes) this.#stream.destroy()
  }

  #abort(): void {
    if (this.#aborted) return
    this.#aborted = true
    this.#setting.tally.aborted++
    this.#stream.destroy()
  }

  get #peerMayAbort(): boolean {
    const { abortsAfterBytes, abortsAfterMessages } = this.#theirs
    return abortsAfterBytes !== undefined || abortsAfterMessages !== undefined
  }

  #onEnd(): void {
    this.#ended = true
    if (this.#received === this.#theirs.bytes || (this.#plain && this.#peerMayAbort)) return
    this.#problem(`ended after ${this.#received} of ${this.#theirs.bytes} bytes`)
  }

  #onClose(): void {
    this.#setting.open.delete(this)
    if (this.#aborted || this.#peerMayAbort) return
    const complete = this.#received === this.#theirs.bytes
    if (this.#error !== undefined) this.#problem(`failed: ${this.#error.message}`)
    else if (!this.#ended && !(this.#plain && complete)) this.#problem('closed without its end')
  }

  #problem(text: string, corruption = false): void {
    const by = this.#stream.fallbackBytes > 0 ? ', part of it by the socket' : ''
    this.#setting.onProblem({ text: `${this.#name}, ${this.#side}: ${text}${by}`, corruption })
  }
}
