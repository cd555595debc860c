import { InvalidArgumentError } from '../errors.ts'

/**
 * An option that is a whole number of at least `least`.
 *
 * @throws {InvalidArgumentError} (`SHM_ERR_INVALID_ARG`)
 */
export function whole(
  option: string,
  value: number | undefined,
  otherwise: number,
  least = 0
): number {
  if (value === undefined) return otherwise
  if (!Number.isSafeInteger(value) || value < least) {
    throw new InvalidArgumentError(option, `a whole number of at least ${least}`, value)
  }
  return value
}
