/** What is decoded at a time. Most heads fit; a body behind the head is not decoded at length. */
const WINDOW = 2048

/** Takes whole lines from the front of a text; returns how many characters it used up. */
export interface LineParser {
  parse(text: string): number
  /** The block of lines has ended; `parse` stopped behind it. */
  readonly complete: boolean
  /** More bytes were read than a block of lines may have. Throws. */
  tooLarge(): never
}

/**
 * Turns bytes that arrive in any pieces into texts that hold whole lines. Each byte is read from
 * the chunk once: it may be memory that a peer writes, so nothing is looked at twice.
 */
export class LineDecoder {
  /** The beginning of a line whose end has not arrived. */
  #pending = ''
  /** Bytes of this block handed to the parser and used up. */
  #used = 0
  readonly #maxBytes: number

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  get empty(): boolean {
    return this.#pending === ''
  }

  start(): void {
    this.#pending = ''
    this.#used = 0
  }

  /** Feeds `parser` until its block is complete or the chunk is used up; returns the new offset. */
  read(chunk: Buffer, offset: number, parser: LineParser): number {
    let at = offset
    while (at < chunk.length) {
      const next = Math.min(at + WINDOW, chunk.length)
      const piece = chunk.toString('latin1', at, next)
      const text = this.#pending === '' ? piece : this.#pending + piece
      // A line cannot end in a piece without a control character, so a line that trickles in is
      // parsed when it ends and not over and over again.
      const used = text === piece || hasControl(piece) ? parser.parse(text) : 0
      this.#used += used
      const rest = text.length - used
      if (parser.complete) {
        if (this.#used > this.#maxBytes) parser.tooLarge()
        this.#pending = ''
        return next - rest
      }
      if (this.#used + rest > this.#maxBytes) parser.tooLarge()
      this.#pending = used === 0 ? text : text.slice(used)
      at = next
    }
    return at
  }
}

function hasControl(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code < 0x20 || code === 0x7f) return true
  }
  return false
}
