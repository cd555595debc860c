/**
 * Private memory in which heads are scanned, one for every reader and writer of the thread as long
 * as 64 KiB do. Valid from filling to scanning only, with no foreign code in between. Bytes are scanned here and not in
 * the caller's chunk because that may be memory a peer writes: it is read once, by the copy.
 */
export interface Scratch {
  readonly bytes: Buffer
  /** The same memory, four bytes at a time. */
  readonly words: Int32Array
}

const SHARED_BYTES = 65536

const shared = allocate(SHARED_BYTES)

/** A scratch with room for `size` bytes and the zero behind them. */
export function scratchOf(size: number): Scratch {
  return size < SHARED_BYTES ? shared : allocate(size + 1)
}

function allocate(size: number): Scratch {
  const memory = new ArrayBuffer((size + 3) & ~3)
  return { bytes: Buffer.from(memory), words: new Int32Array(memory) }
}

/**
 * The position of the first control character but HTAB at or after `from`. There must be one: what
 * fills the scratch puts a zero behind its last byte.
 */
export function textEnd(scratch: Scratch, from: number): number {
  const { bytes, words } = scratch
  let at = from
  for (;;) {
    if ((at & 3) === 0) {
      // Four bytes at once: bit 7 of each says that it is below 0x20, or 0x7f. HTAB counts here.
      let index = at >> 2
      for (;;) {
        const word = words[index] as number
        const low = word & 0x7f7f7f7f
        if (((~(low + 0x60606060) | (low + 0x01010101)) & ~word & 0x80808080) !== 0) break
        index++
      }
      at = index << 2
    }
    const byte = bytes[at] as number
    if (byte < 0x20 ? byte !== 0x09 : byte === 0x7f) return at
    at++
  }
}
