/** Smallest memory kept for reuse, and the step sizes double by. */
const MIN_BYTES = 64 * 1024
/** Larger ones are not kept. */
const MAX_BYTES = 16 * 1024 * 1024
/** What is kept at most while nobody uses it. */
const MAX_IDLE_BYTES = 32 * 1024 * 1024

interface Detachable extends ArrayBuffer {
  /** Since Node 21. */
  transfer?(): ArrayBuffer
}

/**
 * Memory for large bodies that is used again and again. Fresh memory costs several times the copy
 * into it: the kernel zeroes every page, and the collector runs for what V8 is told was allocated.
 *
 * What is given back is detached first: a Buffer that is still around then has no bytes, and never
 * those of the next body.
 */
export class BodyMemory {
  /** By size, the smallest first; each twice the one before. */
  readonly #idle: ArrayBuffer[][] = []
  #idleBytes = 0

  get idleBytes(): number {
    return this.#idleBytes
  }

  /** At least `bytes`, not zeroed. */
  take(bytes: number): ArrayBuffer {
    const idle = this.#idle[classOf(bytes)]?.pop()
    if (idle === undefined) return Buffer.allocUnsafeSlow(sizeOf(bytes)).buffer as ArrayBuffer
    this.#idleBytes -= idle.byteLength
    return idle
  }

  /** Ends every view of `memory`, which came from `take`. */
  giveBack(memory: ArrayBuffer): void {
    const detached = detach(memory)
    const bytes = detached.byteLength
    if (bytes > MAX_BYTES || this.#idleBytes + bytes > MAX_IDLE_BYTES) return
    this.#idleBytes += bytes
    const index = classOf(bytes)
    this.#idle[index] ??= []
    this.#idle[index].push(detached)
  }
}

function classOf(bytes: number): number {
  return bytes <= MIN_BYTES ? 0 : Math.ceil(Math.log2(bytes / MIN_BYTES))
}

function sizeOf(bytes: number): number {
  return bytes > MAX_BYTES ? bytes : MIN_BYTES * 2 ** classOf(bytes)
}

/** The same memory as another object; the one given is empty from here on. */
function detach(memory: Detachable): ArrayBuffer {
  return memory.transfer?.() ?? structuredClone(memory, { transfer: [memory] })
}
