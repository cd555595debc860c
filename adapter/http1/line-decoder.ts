import { HTAB, SP } from './characters.ts'
import { type Scratch, scratchOf } from './scratch.ts'

/** What is decoded at a time. Most heads fit; a body behind the head is not decoded at length. */
const WINDOW = 1024

const NOTHING = Buffer.alloc(0)

/** Takes whole lines from the front of a text; returns how many characters it used up. */
export interface LineParser {
  /** The scratch holds the same as `text`, latin1, and a zero behind it. */
  parse(text: string, scratch: Scratch): number
  /** The block of lines has ended; `parse` stopped behind it. */
  readonly complete: boolean
  /** More bytes were read than a block of lines may have. Throws. */
  tooLarge(): never
}

/** Turns bytes that arrive in any pieces into texts that begin at a line and hold whole lines. */
export class LineDecoder {
  /** The beginning of a line whose end has not arrived, in the first `#held` bytes. */
  #pending = NOTHING
  #held = 0
  /** Bytes of this block handed to the parser and used up. */
  #used = 0
  readonly #maxBytes: number

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  get empty(): boolean {
    return this.#held === 0
  }

  start(): void {
    this.#pending = NOTHING
    this.#held = 0
    this.#used = 0
  }

  /** Feeds `parser` until its block is complete or the chunk is used up; returns the new offset. */
  read(chunk: Buffer, offset: number, parser: LineParser): number {
    let at = offset
    while (at < chunk.length) {
      const next = Math.min(at + WINDOW, chunk.length)
      const length = this.#held + next - at
      const scratch = scratchOf(length)
      const { bytes } = scratch
      if (this.#held === 0) {
        chunk.copy(bytes, 0, at, next)
      } else {
        const ends = this.#append(chunk, at, next)
        if (!ends) {
          if (this.#used + length > this.#maxBytes) parser.tooLarge()
          at = next
          continue
        }
        this.#pending.copy(bytes, 0, 0, length)
      }
      bytes[length] = 0
      const used = parser.parse(bytes.toString('latin1', 0, length), scratch)
      this.#used += used
      if (parser.complete) {
        if (this.#used > this.#maxBytes) parser.tooLarge()
        this.#pending = NOTHING
        this.#held = 0
        return next - (length - used)
      }
      if (this.#used + length - used > this.#maxBytes) parser.tooLarge()
      this.#hold(bytes, used, length)
      at = next
    }
    return at
  }

  #hold(bytes: Buffer, from: number, to: number): void {
    this.#held = to - from
    if (this.#held === 0) {
      this.#pending = NOTHING
      return
    }
    if (this.#pending.length < this.#held) this.#pending = Buffer.allocUnsafeSlow(this.#held + 256)
    bytes.copy(this.#pending, 0, from, to)
  }

  /**
   * Adds to what is pending; returns whether a line can end in it. A line that trickles in is so
   * parsed when it ends, and not over and over again.
   */
  #append(chunk: Buffer, from: number, to: number): boolean {
    const held = this.#held
    const length = held + to - from
    if (this.#pending.length < length) {
      const grown = Buffer.allocUnsafeSlow(length * 2)
      this.#pending.copy(grown, 0, 0, held)
      this.#pending = grown
    }
    chunk.copy(this.#pending, held, from, to)
    this.#held = length
    // From the last byte held on: a CR that waits there is decided by whatever follows it.
    for (let i = held - 1; i < length; i++) {
      const byte = this.#pending[i] as number
      if (byte < SP && byte !== HTAB) return true
    }
    return false
  }
}
