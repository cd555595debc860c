import type { FieldParser } from './field-parser.ts'
import { KnownBytes } from './known-bytes.ts'
import type { Headers } from './message.ts'
import type { Scratch } from './scratch.ts'

/** Shorter than this, two heads have nothing in common that is worth remembering. */
const MIN_BYTES = 16
/** Of heads that differ one after another, only every so many takes the place of the known one. */
const RENEWAL = 16

/** What field lines came to. */
class ParsedLines {
  /** Of these lines; 0 while there are none. */
  bytes = 0
  headers: Headers = []
  #complete = false
  #contentLength = -1
  #chunked = false
  #connection = 0
  #expectContinue = false
  #expectation: string | undefined = undefined
  #host: string | undefined = undefined
  #upgrade: string | undefined = undefined

  /** What has been read into `fields` so far is what `bytes` of lines came to. */
  set(fields: FieldParser, bytes: number): void {
    this.bytes = bytes
    this.headers = fields.complete ? fields.headers : fields.headers.slice(0, fields.count)
    this.#complete = fields.complete
    this.#contentLength = fields.contentLength
    this.#chunked = fields.chunked
    this.#connection = fields.connection
    this.#expectContinue = fields.expectContinue
    this.#expectation = fields.expectation
    this.#host = fields.host
    this.#upgrade = fields.upgrade
  }

  /** @param headers these, or a copy that has room for more */
  fill(fields: FieldParser, headers: Headers): void {
    fields.headers = headers
    fields.beginning = this.headers
    fields.count = this.headers.length
    fields.complete = this.#complete
    fields.contentLength = this.#contentLength
    fields.chunked = this.#chunked
    fields.connection = this.#connection
    fields.expectContinue = this.#expectContinue
    fields.expectation = this.#expectation
    fields.host = this.#host
    fields.upgrade = this.#upgrade
  }
}

/**
 * The field lines of a connection's heads, and what they came to. The other end sends the same ones
 * again and again: where they stand unchanged, byte for byte, they are not parsed again. Kept are
 * those of one head, which others repeat whole as long as its Date is the same, and the first lines
 * that it had in common with another, which a request with an id of its own repeats.
 *
 * Connections whose peers send alike may share one: a processor's cache holds one head, not one for
 * each, and a Date is read once a second.
 */
export class KnownFields {
  readonly #bytes = new KnownBytes()
  /** All of `#bytes`. */
  readonly #whole = new ParsedLines()
  /** Of the first of them. */
  readonly #first = new ParsedLines()
  /** That the head being read has in common with `#bytes`. */
  #common = 0
  /** Heads in a row that were not the known one. */
  #misses = 0

  /**
   * Fills `fields` with what is known of the lines at `from`; returns the position behind them,
   * `from` when they are not known.
   *
   * @param end of the bytes that are there
   */
  recall(fields: FieldParser, scratch: Scratch, from: number, end: number): number {
    const whole = this.#whole
    const common = this.#bytes.commonLength(scratch, from, end)
    this.#common = common
    if (whole.bytes > 0 && common === whole.bytes && whole.headers.length <= fields.maxLength) {
      this.#misses = 0
      whole.fill(fields, whole.headers)
      return from + common
    }
    this.#misses++
    const first = this.#first
    if (first.bytes === 0 || common < first.bytes) return from
    if (first.headers.length > fields.maxLength) return from
    if (this.#renews && this.#bytes.lineEnd(common) > first.bytes) return from
    first.fill(fields, whole.headers.slice())
    return from + first.bytes
  }

  /** Where the lines end that the head has in common with the known one; -1: nowhere. */
  commonEnd(from: number): number {
    const length = this.#bytes.lineEnd(this.#common)
    return length < MIN_BYTES ? -1 : from + length
  }

  /** The first `bytes` of a head, which it has in common with the known one, are in `fields`. */
  rememberFirst(fields: FieldParser, bytes: number): void {
    this.#first.set(fields, bytes)
  }

  /** The lines of a head, from `from` to `end`, are all in `fields`. */
  remember(fields: FieldParser, scratch: Scratch, from: number, end: number): void {
    if (this.#common < this.#first.bytes) this.#first.bytes = 0
    else if (!this.#renews) return
    this.#bytes.set(scratch, from, end)
    this.#whole.set(fields, end - from)
  }

  get #renews(): boolean {
    const misses = this.#misses
    return misses % RENEWAL === 0 || (misses & (misses - 1)) === 0
  }
}
