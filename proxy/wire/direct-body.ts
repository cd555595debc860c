import type { HeldSlice } from '../../adapter/shmipc/index.ts'
import type { ChannelWire } from './channel-wire.ts'
import type { ReadTarget, SocketWire } from './socket-wire.ts'

/** Below, what is left of a body is read to the scratch and copied. */
const MIN_DIRECT_BYTES = 16 * 1024
/** A client that has sent less at once may be slow: it must not keep a slice waiting. */
const MIN_FIRST_BYTES = 8 * 1024
/** Most bytes of one slice; a body that fits one reaches the app in one piece. */
const MAX_SLICE_BYTES = 4 * 1024 * 1024
/** So often a slice that is filling is looked at, in ms: ... */
const PATIENCE_MS = 5
/** ... with fewer new bytes than this (25 MiB/s) it goes as it is, and the client's next are copied. */
const MIN_PROGRESS_BYTES = 128 * 1024
/** For less a client does not wait until there is a slice: it is copied to small ones. */
const MIN_AWAITED_BYTES = 64 * 1024

/** Whose body it is. */
export interface BodySource {
  /** Bytes of the body still to come. */
  readonly missing: number
  /** So many of them have been read. */
  passed(bytes: number): void
  /** It may be read again. */
  proceed(): void
}

/**
 * A request's body on its way from a socket straight into slices of the upstream's memory, never
 * past the body's end. A client that turns out slow holds a slice for some ms only. While there is no
 * slice the client is not read: what it sends waits in the kernel, where it costs nothing.
 */
export class DirectBody implements ReadTarget {
  /** It waited for a slice in vain. */
  gaveUp = false
  readonly #source: BodySource
  readonly #from: SocketWire
  readonly #to: ChannelWire
  #held: HeldSlice | undefined
  #used = 0
  #usedBefore = 0
  #timer: NodeJS.Timeout | undefined
  /** Read before there was a slice for it. */
  #first: Buffer | undefined
  #forget: (() => void) | undefined

  private constructor(source: BodySource, from: SocketWire, to: ChannelWire) {
    this.#source = source
    this.#from = from
    this.#to = to
  }

  /**
   * Begins with `first`, which is copied and read already.
   *
   * @param waited it may wait for a slice, see {@link waits}: called when that is over, before
   *   anything is sent
   * @returns undefined when what is missing is not worth it, or there is no slice
   */
  static begin(
    source: BodySource,
    from: SocketWire,
    to: ChannelWire,
    first: Buffer,
    waited: (() => void) | undefined
  ): DirectBody | undefined {
    const { missing } = source
    if (first.length < MIN_FIRST_BYTES || missing < MIN_DIRECT_BYTES) return undefined
    const body = new DirectBody(source, from, to)
    const bytes = Math.min(first.length + missing, MAX_SLICE_BYTES)
    const held = to.hold(bytes)
    if (held !== undefined) {
      body.#begin(held, first)
      from.readInto(body)
      return body
    }
    if (waited === undefined || missing < MIN_AWAITED_BYTES) return undefined
    body.#first = Buffer.from(first)
    body.#forget = to.holdSoon(bytes, (given) => {
      waited()
      // What that has sent may have found the upstream gone.
      if (body.waits) body.#given(given)
      else given?.release()
    })
    return body
  }

  /** There is no slice yet: the client must not be read. */
  get waits(): boolean {
    return this.#forget !== undefined
  }

  /** It is to be told what the client's socket brings, by {@link resume}. */
  get resumes(): boolean {
    return this.#held !== undefined && !this.#from.readsInto(this)
  }

  /**
   * Goes on with what was read to the scratch.
   *
   * @returns what is left of it
   */
  resume(chunk: Buffer): Buffer {
    const { view } = this.#held as HeldSlice
    const copied = chunk.copy(view, this.#used)
    this.#used += copied
    if (this.#used === view.length) this.#send()
    else this.#from.readInto(this)
    return chunk.subarray(copied)
  }

  room(): Buffer | undefined {
    if (this.#held === undefined && !this.#takeNext()) return undefined
    this.#timer ??= setTimeout(this.#look, PATIENCE_MS)
    return this.#held?.view.subarray(this.#used)
  }

  filled(bytes: number): void {
    this.#used += bytes
    if (this.#used === this.#held?.view.length) this.#send()
    this.#source.passed(bytes)
  }

  /**
   * What has come is sent, unless the upstream is gone. Idempotent.
   *
   * @returns what has come while it waited, of which nothing is sent
   */
  end(): Buffer | undefined {
    if (this.#forget !== undefined) {
      this.#forget()
      this.#forget = undefined
      return this.#first
    }
    if (this.#held !== undefined) {
      this.#from.endReadInto()
      this.#send()
    }
    return undefined
  }

  #takeNext(): boolean {
    const { missing } = this.#source
    if (missing < MIN_DIRECT_BYTES || this.#to.blocked) return false
    this.#held = this.#to.hold(Math.min(missing, MAX_SLICE_BYTES))
    return this.#held !== undefined
  }

  #begin(held: HeldSlice, first: Buffer): void {
    this.#held = held
    this.#used = first.copy(held.view)
  }

  #given(held: HeldSlice | undefined): void {
    const first = this.#first as Buffer
    this.#forget = undefined
    this.#first = undefined
    if (held !== undefined) {
      this.#begin(held, first)
      this.#timer = setTimeout(this.#look, PATIENCE_MS)
    } else {
      this.gaveUp = true
      this.#to.write('', first, '', undefined)
    }
    this.#source.proceed()
  }

  readonly #look = (): void => {
    const progress = this.#used - this.#usedBefore
    this.#usedBefore = this.#used
    if (progress >= MIN_PROGRESS_BYTES) this.#timer?.refresh()
    else this.end()
  }

  #send(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const held = this.#held as HeldSlice
    this.#held = undefined
    this.#to.writeHeld(held, this.#used)
    this.#used = 0
    this.#usedBefore = 0
  }
}
