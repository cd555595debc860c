import { InvalidArgumentError } from '../../adapter/errors.ts'

/**
 * `'10%'` to 0.1.
 *
 * @param option name of the option, for the message
 * @throws {InvalidArgumentError} on a bare number, or more than 100%
 */
export function parseShare(option: string, text: string): number {
  const share = /^\d+(\.\d+)?%$/.test(text) ? Number(text.slice(0, -1)) / 100 : Number.NaN
  if (share <= 1) return share
  throw new InvalidArgumentError(option, "a share between '0%' and '100%'", text)
}
