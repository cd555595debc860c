/**
 * The bytes of a stream: each depends on the stream's seed and on its offset, so that another
 * stream's bytes, or this stream's of another time, are seen for what they are.
 */
import { createCipheriv } from 'node:crypto'

/** Prime: no message size or slice size is a multiple of it. */
const PERIOD = 1_048_573
/** All streams read from it, each beginning elsewhere. */
const BLOCK = createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16)).update(
  Buffer.alloc(PERIOD)
)

export function fill(target: Buffer, seed: number, offset: number): void {
  for (let at = 0; at < target.length; ) {
    const from = (seed + offset + at) % PERIOD
    at += BLOCK.copy(target, at, from)
  }
}

/** Index of the first byte that is not the stream's at `offset`; -1 when all are. */
export function firstDifference(bytes: Buffer, seed: number, offset: number): number {
  for (let at = 0; at < bytes.length; ) {
    const from = (seed + offset + at) % PERIOD
    const length = Math.min(bytes.length - at, PERIOD - from)
    if (BLOCK.compare(bytes, at, at + length, from, from + length) !== 0) {
      while (bytes[at] === BLOCK[(seed + offset + at) % PERIOD]) at++
      return at
    }
    at += length
  }
  return -1
}
