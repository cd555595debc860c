import { readSync } from 'node:fs'

const BYTE = Buffer.alloc(1)

/**
 * Whether a connection whose end has been told was reset: libuv takes a reset that comes together
 * with the last bytes for an end in order, and has not asked the kernel, which still knows.
 *
 * @param fd of the socket, which is not closed
 */
export function resetOf(fd: number): Error | undefined {
  try {
    readSync(fd, BYTE)
    return undefined
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ECONNRESET' ? (error as Error) : undefined
  }
}
