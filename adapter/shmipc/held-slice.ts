import type { Holding } from './leak-watch.ts'
import type { ShmSession } from './session.ts'

const HELD: unique symbol = Symbol('shmesh.held')

interface OwnMemory extends ArrayBuffer {
  /** null: it was sent or released. */
  [HELD]?: HeldSlice | null
}

/** Below, a copy is cheaper than a slice held on its own. */
export const MIN_HELD_BYTES: number = 16 * 1024

/**
 * `bytes` of the session's memory to be filled and then written, whatever was in them before;
 * undefined when ordinary memory serves better, or when there is no slice so large.
 */
export function allocateIn(session: ShmSession, bytes: number): Buffer | undefined {
  return bytes < MIN_HELD_BYTES ? undefined : session.hold(bytes)?.expose()
}

/** Buffers that were allocated and dropped without being written give their slices back. */
const dropped = new FinalizationRegistry<HeldSlice>((held) => held.release())

/**
 * A slice of ours that is being filled. It ends once: sent with `Channel.writeHeld`, which gives it
 * to the peer, or released.
 */
export class HeldSlice implements Holding {
  readonly kind = 'buffer'
  readonly streamId = 0
  /** @internal */ since = 0
  /** @internal */ stack: string | undefined = undefined
  readonly session: ShmSession
  /** Header offset. */
  readonly slice: number
  /** Its bytes in the session's memory; what they held before is still there. */
  readonly view: Buffer
  /** The memory user code sees it through. Weak: `dropped` holds this, and waits for that to go. */
  #exposed: WeakRef<OwnMemory> | undefined
  /** Sent or released. */
  over = false

  /** @internal */
  constructor(session: ShmSession, slice: number, view: Buffer) {
    this.session = session
    this.slice = slice
    this.view = view
  }

  /**
   * The slice whose memory `buffer` begins with, when it came from `alloc` and has not been written.
   *
   * @internal
   */
  static of(buffer: Buffer): HeldSlice | undefined {
    return buffer.byteOffset === 0 ? ((buffer.buffer as OwnMemory)[HELD] ?? undefined) : undefined
  }

  /** Whether `bytes` came from `alloc` and is empty because it was written, or released. */
  static isOver(bytes: ArrayBufferView): boolean {
    return (bytes.buffer as OwnMemory)[HELD] === null
  }

  /** @internal For user code: empty once the slice is sent or released, whoever still holds it. */
  expose(): Buffer {
    const memory: OwnMemory = this.session.native.expose(this.view.byteOffset, this.view.length)
    memory[HELD] = this
    // Node lets nobody move such memory to another thread. Marking it again, by
    // `markAsUntransferable`, would from Node 24 on make `detach` a fatal error.
    dropped.register(memory, this, this)
    this.#exposed = new WeakRef(memory)
    this.session.leaks.take(this)
    return Buffer.from(memory)
  }

  /** @internal The peer has it. */
  given(): void {
    this.over = true
    this.#hide()
  }

  /** Gives it back unsent. Idempotent. */
  release(): void {
    if (this.over) return
    this.over = true
    this.#hide()
    if (!this.session.closed) this.session.native.release(this.slice)
  }

  get bytes(): number {
    return this.view.length
  }

  #hide(): void {
    this.session.leaks.drop(this)
    const memory = this.#exposed?.deref()
    this.#exposed = undefined
    if (memory === undefined) return
    dropped.unregister(this)
    memory[HELD] = null
    this.session.native.detach(memory)
  }
}
