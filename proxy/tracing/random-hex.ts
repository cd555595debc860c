import { randomBytes } from 'node:crypto'

/** Asking the system's generator costs more than all the rest of an id: many are drawn at once. */
const POOL_BYTES = 4096

let pool = ''
let used = 0

/** `digits` hexadecimal digits nobody can guess. At most a pool of them. */
export function randomHex(digits: number): string {
  if (used + digits > pool.length) {
    pool = randomBytes(POOL_BYTES).toString('hex')
    used = 0
  }
  const text = pool.slice(used, used + digits)
  used += digits
  return text
}
