import type { FieldParser } from './field-parser.ts'
import type { Headers } from './message.ts'

/** Shorter than this, two heads have nothing in common that is worth remembering. */
const MIN_BYTES = 16

/**
 * The first field lines of a connection's heads, and what they came to. A client sends the same
 * ones again and again: where they stand unchanged, byte for byte, they are not parsed again. What
 * stays the same is found by comparing one head with the one before.
 */
export class KnownFields {
  /** Whole lines that were accepted; the last one may be the empty one. */
  #text = ''
  /** The fields of the head before this one, unless they began with `#text`. */
  #last = ''
  #headers: Headers = []
  #complete = false
  #contentLength = -1
  #chunked = false
  #connection = 0
  #expectContinue = false
  #expectation: string | undefined = undefined
  #host: string | undefined = undefined
  #upgrade: string | undefined = undefined

  /**
   * Fills `fields` when the lines at `from` are known; returns the position behind them, `from`
   * when they are not. Fields that are known to the end are the same array each time.
   */
  recall(fields: FieldParser, text: string, from: number): number {
    const known = this.#text
    const end = from + known.length
    if (known === '' || text.slice(from, end) !== known) return from
    fields.headers = this.#complete ? this.#headers : this.#headers.slice()
    fields.complete = this.#complete
    fields.contentLength = this.#contentLength
    fields.chunked = this.#chunked
    fields.connection = this.#connection
    fields.expectContinue = this.#expectContinue
    fields.expectation = this.#expectation
    fields.host = this.#host
    fields.upgrade = this.#upgrade
    return end
  }

  /** Where the lines end that the text at `from` has in common with the head before; -1: nowhere. */
  commonEnd(text: string, from: number): number {
    const last = this.#last
    const length = Math.min(last.length, text.length - from)
    let line = 0
    for (let i = 0; i < length; i++) {
      const code = last.charCodeAt(i)
      if (code !== text.charCodeAt(from + i)) break
      if (code === 0x0a) line = i + 1
    }
    return line < MIN_BYTES ? -1 : from + line
  }

  /** These lines, which were not known, have been parsed. */
  parsed(lines: string): void {
    this.#last = lines
  }

  /** What has been read into `fields` so far is what `lines` come to. */
  remember(fields: FieldParser, lines: string): void {
    this.#text = lines
    this.#headers = fields.complete ? fields.headers : fields.headers.slice()
    this.#complete = fields.complete
    this.#contentLength = fields.contentLength
    this.#chunked = fields.chunked
    this.#connection = fields.connection
    this.#expectContinue = fields.expectContinue
    this.#expectation = fields.expectation
    this.#host = fields.host
    this.#upgrade = fields.upgrade
  }
}
