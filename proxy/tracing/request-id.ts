import { randomFillSync } from 'node:crypto'

/** `crypto.randomUUID` makes a text of twenty parts, which every later use of it pays for. */
const POOL_IDS = 256
const ID_BYTES = 16
const ID_CHARACTERS = 36
const DASH = 0x2d
const HEX = Buffer.from('0123456789abcdef')

const random = Buffer.allocUnsafeSlow(POOL_IDS * ID_BYTES)
const written = Buffer.allocUnsafeSlow(POOL_IDS * ID_CHARACTERS)
let pool = ''
let used = 0

/** A version 4 UUID (RFC 9562 5.4). */
export function newRequestId(): string {
  if (used === pool.length) refill()
  const id = pool.slice(used, used + ID_CHARACTERS)
  used += ID_CHARACTERS
  return id
}

function refill(): void {
  randomFillSync(random)
  let at = 0
  for (let i = 0; i < random.length; i++) {
    const place = i % ID_BYTES
    let byte = random[i] as number
    if (place === 6) byte = (byte & 0x0f) | 0x40
    else if (place === 8) byte = (byte & 0x3f) | 0x80
    if (place === 4 || place === 6 || place === 8 || place === 10) written[at++] = DASH
    written[at++] = HEX[byte >> 4] as number
    written[at++] = HEX[byte & 15] as number
  }
  pool = written.toString('latin1')
  used = 0
}
