import type { HeldSlice } from '../../adapter/shmipc/index.ts'
import type { ChannelWire } from './channel-wire.ts'
import type { ReadTarget, SocketWire } from './socket-wire.ts'

/** Below, what is left of a body is read to the scratch and copied. */
const MIN_DIRECT_BYTES = 16 * 1024
/** A client that has sent less at once may be slow: it must not keep a slice waiting. */
const MIN_FIRST_BYTES = 8 * 1024
/** Most bytes of one slice; a body that fits one reaches the app in one piece. */
const MAX_SLICE_BYTES = 4 * 1024 * 1024
/** A slice that is not full after so long goes as it is, and the client's next bytes are copied, ms. */
const PATIENCE_MS = 5

/** Whose body it is. */
export interface BodySource {
  /** Bytes of the body still to come. */
  readonly missing: number
  /** So many of them have been read. */
  passed(bytes: number): void
}

/**
 * A request's body on its way from a socket straight into slices of the upstream's memory, never
 * past the body's end. A client that turns out slow holds a slice for some ms only.
 */
export class DirectBody implements ReadTarget {
  readonly #source: BodySource
  readonly #from: SocketWire
  readonly #to: ChannelWire
  #held: HeldSlice | undefined
  #used = 0
  #timer: NodeJS.Timeout | undefined

  private constructor(source: BodySource, from: SocketWire, to: ChannelWire) {
    this.#source = source
    this.#from = from
    this.#to = to
  }

  /**
   * Begins with `first`, which is copied and read already.
   *
   * @returns undefined when what is missing is not worth it, or there is no slice
   */
  static begin(
    source: BodySource,
    from: SocketWire,
    to: ChannelWire,
    first: Buffer
  ): DirectBody | undefined {
    if (first.length < MIN_FIRST_BYTES || source.missing < MIN_DIRECT_BYTES) return undefined
    const body = new DirectBody(source, from, to)
    if (!body.#take(first.length + source.missing)) return undefined
    const held = body.#held as HeldSlice
    if (held.view.length <= first.length) {
      held.release()
      return undefined
    }
    body.#used = first.copy(held.view)
    from.readInto(body)
    return body
  }

  room(): Buffer | undefined {
    if (this.#held === undefined && !this.#takeNext()) return undefined
    this.#timer ??= setTimeout(() => this.end(), PATIENCE_MS)
    return this.#held?.view.subarray(this.#used)
  }

  filled(bytes: number): void {
    this.#used += bytes
    if (this.#used === this.#held?.view.length) this.#send()
    this.#source.passed(bytes)
  }

  /** What has come is sent, unless the upstream is gone. Idempotent. */
  end(): void {
    if (this.#held === undefined) return
    this.#from.endReadInto()
    this.#send()
  }

  #takeNext(): boolean {
    const { missing } = this.#source
    return missing >= MIN_DIRECT_BYTES && !this.#to.blocked && this.#take(missing)
  }

  #take(bytes: number): boolean {
    this.#used = 0
    this.#held = this.#to.hold(Math.min(bytes, MAX_SLICE_BYTES))
    return this.#held !== undefined
  }

  #send(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const held = this.#held as HeldSlice
    this.#held = undefined
    this.#to.writeHeld(held, this.#used)
  }
}
