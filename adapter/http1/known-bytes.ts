import { LF } from './characters.ts'
import type { Scratch } from './scratch.ts'

/** Lines that were read before, to compare others with: four bytes at a time, wherever those begin. */
export class KnownBytes {
  length = 0
  #bytes = Buffer.alloc(0)
  #words = new Int32Array(0)

  /** Those of the scratch from `from` to `end`. */
  set({ bytes }: Scratch, from: number, end: number): void {
    this.length = end - from
    if (this.#bytes.length < this.length) {
      const memory = new ArrayBuffer((this.length + 259) & ~3)
      this.#bytes = Buffer.from(memory)
      this.#words = new Int32Array(memory)
    }
    bytes.copy(this.#bytes, 0, from, end)
  }

  /** So many bytes of the scratch, which are valid up to `end`, are the same from `from` on. */
  commonLength({ bytes, words }: Scratch, from: number, end: number): number {
    const most = Math.min(this.length, end - from)
    const full = most >> 2
    const known = this.#words
    const first = from >> 2
    const shift = (from & 3) << 3
    let i = 0
    if (shift === 0) {
      while (i < full && words[first + i] === known[i]) i++
    } else {
      let low = (words[first] as number) >>> shift
      while (i < full) {
        const next = words[first + i + 1] as number
        if ((low | (next << (32 - shift))) !== known[i]) break
        low = next >>> shift
        i++
      }
    }
    let at = i << 2
    while (at < most && bytes[from + at] === this.#bytes[at]) at++
    return at
  }

  /** Where the last line ends that ends within the first `length` bytes. */
  lineEnd(length: number): number {
    let at = length
    while (at > 0 && this.#bytes[at - 1] !== LF) at--
    return at
  }
}
