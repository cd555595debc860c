/**
 * Durations and sizes as users write them. A unit is always required: `timeout: 5` could be read
 * as seconds or as milliseconds, so it is refused instead of guessed.
 */
import { InvalidArgumentError } from './errors.ts'

const MILLISECONDS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const
const BYTES = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 } as const
const BINARY_UNIT_FOR: Readonly<Record<string, string>> = { K: 'KiB', M: 'MiB', G: 'GiB' }

/** Longest delay a Node.js timer holds, in milliseconds; a longer one would fire at once. */
const MAX_TIMER_MILLISECONDS = 2 ** 31 - 1

/** Shared memory one session maps when `memory` is not given, in bytes. */
export const DEFAULT_MEMORY_BYTES: number = 64 * BYTES.MiB
/** Smallest `memory`, in bytes: below it no useful slice list fits beside the rings. */
export const MIN_MEMORY_BYTES: number = 1 * BYTES.MiB
/** Largest `memory`, in bytes: offsets into a region are unsigned 32-bit on the wire. */
export const MAX_MEMORY_BYTES: number = 3 * BYTES.GiB
/** What a stream may be sent before it gives credit when `window` is not given, in bytes. */
export const DEFAULT_WINDOW_BYTES: number = 1 * BYTES.MiB
/** Smallest and largest `window`, in bytes. */
export const MIN_WINDOW_BYTES: number = 4 * BYTES.KiB
export const MAX_WINDOW_BYTES: number = 1 * BYTES.GiB

/**
 * Refuses what is no options object, and names nobody knows: a typing error is not to be a default.
 *
 * @param owner what was given the options, for the message
 * @throws {InvalidArgumentError}
 */
export function checkOptionNames(
  owner: string,
  options: unknown,
  known: readonly string[],
  ignored: readonly string[] = []
): void {
  if (typeof options !== 'object' || options === null) {
    throw new InvalidArgumentError(owner, 'given an options object', options)
  }
  for (const name of Object.keys(options)) {
    if (known.includes(name) || ignored.includes(name)) continue
    throw new InvalidArgumentError(owner, `given ${known.join(', ')} only`, name)
  }
}

/** @throws {InvalidArgumentError} */
export function checkBoolean(option: string, value: unknown): void {
  if (typeof value !== 'boolean') throw new InvalidArgumentError(option, 'true or false', value)
}

/**
 * `'250ms' | '5s' | '2m' | '1h'` to milliseconds.
 *
 * @param option name of the option, for the message
 * @throws {InvalidArgumentError} on a bare number, another unit, or more than a timer can hold
 */
export function parseDuration(option: string, value: string): number {
  const expected = "a duration with its unit, such as '250ms', '5s', '2m' or '1h'"
  const [amount, unit] = split(option, value, expected)
  const factor = MILLISECONDS[unit as keyof typeof MILLISECONDS]
  if (factor === undefined) throw new InvalidArgumentError(option, expected, value)

  const milliseconds = amount * factor
  if (!Number.isInteger(milliseconds)) {
    throw new InvalidArgumentError(option, 'a whole number of milliseconds', value)
  }
  if (milliseconds > MAX_TIMER_MILLISECONDS) {
    throw new InvalidArgumentError(option, "at most '596h' (24 days)", value)
  }
  return milliseconds
}

/**
 * `'512B' | '64KiB' | '64MiB' | '1GiB'` to bytes.
 *
 * @param option name of the option, for the message
 * @throws {InvalidArgumentError} on a bare number, a decimal unit (`KB`, `MB`), or a part of a byte
 */
export function parseSize(option: string, value: string): number {
  const expected = "a size with its unit, such as '512B', '64KiB', '64MiB' or '1GiB'"
  const [amount, unit] = split(option, value, expected)
  const factor = BYTES[unit as keyof typeof BYTES]
  if (factor === undefined) {
    const binary = BINARY_UNIT_FOR[unit.charAt(0).toUpperCase()]
    const hint = binary === undefined ? '' : ` (did you mean '${amount}${binary}'?)`
    throw new InvalidArgumentError(option, expected + hint, value)
  }

  const bytes = amount * factor
  if (!Number.isSafeInteger(bytes)) {
    throw new InvalidArgumentError(option, 'a whole number of bytes', value)
  }
  return bytes
}

/**
 * The `memory` option to bytes; {@link DEFAULT_MEMORY_BYTES} when it is not given.
 *
 * @throws {InvalidArgumentError} outside [{@link MIN_MEMORY_BYTES}, {@link MAX_MEMORY_BYTES}]
 */
export function parseMemory(option: string, value: string | undefined): number {
  if (value === undefined) return DEFAULT_MEMORY_BYTES
  const bytes = parseSize(option, value)
  if (bytes < MIN_MEMORY_BYTES || bytes > MAX_MEMORY_BYTES) {
    throw new InvalidArgumentError(option, "between '1MiB' and '3GiB'", value)
  }
  return bytes
}

/**
 * The `window` option to bytes; {@link DEFAULT_WINDOW_BYTES} when it is not given.
 *
 * @throws {InvalidArgumentError} outside [{@link MIN_WINDOW_BYTES}, {@link MAX_WINDOW_BYTES}]
 */
export function parseWindow(option: string, value: string | undefined): number {
  if (value === undefined) return DEFAULT_WINDOW_BYTES
  const bytes = parseSize(option, value)
  if (bytes < MIN_WINDOW_BYTES || bytes > MAX_WINDOW_BYTES) {
    throw new InvalidArgumentError(option, "between '4KiB' and '1GiB'", value)
  }
  return bytes
}

function split(option: string, value: string, expected: string): [amount: number, unit: string] {
  const match = typeof value === 'string' ? /^(\d+(?:\.\d+)?) ?([A-Za-z]+)$/.exec(value) : null
  if (match === null) throw new InvalidArgumentError(option, expected, value)
  return [Number(match[1]), match[2] as string]
}
