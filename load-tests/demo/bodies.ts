/**
 * The bodies of the demo: pseudo-random, so that a byte that is lost, doubled or in another place
 * shows, and a different one for each connection, so that a mix-up of two connections shows.
 */

export const BODY_BYTES: readonly number[] = [64, 16 * 1024, 1024 * 1024]
export const VARIANTS = 16
export const UPLOAD_ANSWER: Buffer = Buffer.from('received\n')

/** Variants are windows of the same bytes: sixteen copies would not fit in a processor's cache. */
const STEP_BYTES = 4160
export const MAX_BODY_BYTES: number = 4 * 1024 * 1024
const pool = randomBytes(MAX_BODY_BYTES + VARIANTS * STEP_BYTES)

/**
 * A view of shared bytes: not to be written.
 *
 * @param bytes at most {@link MAX_BODY_BYTES}
 */
export function bodyOf(bytes: number, variant: number): Buffer {
  const start = variant * STEP_BYTES
  return pool.subarray(start, start + bytes)
}

export function bodyPath(bytes: number, variant: number): string {
  return `/${bytes}/${variant}`
}

/** The same in every process: Marsaglia's xorshift32 from a fixed seed. */
function randomBytes(length: number): Buffer {
  const words = new Uint32Array(Math.ceil(length / 4))
  let state = 0x9e3779b9
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    words[i] = state
  }
  return Buffer.from(words.buffer, 0, length)
}
