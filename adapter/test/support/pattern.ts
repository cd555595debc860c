import { createCipheriv, createHash } from 'node:crypto'

/** The same bytes in every process, and different at every offset. */
export function pattern(bytes: number, seed = 1): Buffer {
  const initial = Buffer.alloc(16)
  initial.writeUInt32BE(seed)
  return createCipheriv('aes-128-ctr', Buffer.alloc(16), initial).update(Buffer.alloc(bytes))
}

export function sha256(data: Buffer): string {
  return createHash('sha256').update(data).digest('hex')
}
