/** Payload bytes of the slices of a foreign client's default configuration. */
export const FOREIGN_SLICES: readonly number[] = [8192 - 20, 32768 - 20, 131072 - 20]

/** Of a session of ours. */
export const OUR_SLICES: readonly number[] = [4096, 32_768, 262_144, 1_048_576, 4_194_304]

const LARGEST = 8 << 20

/** 1 B to 8 MiB: each slice's payload, and its multiples, less one, exactly, and one more. */
export function aroundSlices(slices: readonly number[]): number[] {
  const sizes = new Set([1, 2, 3, 4095, 4096, 4097, 1 << 20, LARGEST])
  for (const payload of slices) {
    for (const times of [1, 2, 3]) {
      for (const more of [-1, 0, 1]) sizes.add(times * payload + more)
    }
  }
  return [...sizes].filter((size) => size <= LARGEST).sort((a, b) => a - b)
}
