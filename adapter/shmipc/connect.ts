import { getSystemErrorName } from 'node:util'
import { ShmError } from '../errors.ts'
import { parseMemory } from '../options.ts'
import { parseShmAddress } from './address.ts'
import { sharedMemory } from './availability.ts'
import { theDoorman } from './doorman.ts'
import { QUEUE_CAPACITY, WINDOW_BYTES } from './limits.ts'
import { ShmSession } from './session.ts'

export interface ConnectOptions {
  /**
   * Shared memory of the session, with its unit. Pages are taken when first used.
   *
   * @defaultValue '64MiB'
   */
  readonly memory?: string | undefined
}

/** connect(2) failed: nobody listens on the path. `code` is the system's (`ECONNREFUSED`, ...). */
export class UnreachableError extends Error {
  override readonly name: string = 'UnreachableError'
  readonly code: string
  readonly errno: number
  readonly syscall = 'connect'
  readonly address: string

  constructor(errno: number, path: string) {
    const code = getSystemErrorName(-errno)
    super(`connect ${code} ${path}`)
    this.code = code
    this.errno = -errno
    this.address = path
  }
}

/**
 * Opens a session to the server at `address` (`shm:///run/x.sock` or a path): creates the shared
 * memory, connects, hands it over.
 *
 * @throws {ShmError} `SHM_ERR_UNAVAILABLE` without shared memory in this process,
 *   `SHM_ERR_HANDSHAKE` when somebody listens who does not take it
 * @throws {UnreachableError} when nobody listens
 */
export async function connect(address: string, options: ConnectOptions = {}): Promise<ShmSession> {
  const path = parseShmAddress('address', address)
  const memory = parseMemory('memory', options.memory)
  const availability = sharedMemory()
  if (availability.addon === undefined) {
    throw new ShmError('SHM_ERR_UNAVAILABLE', `no shared memory: ${availability.reason}`)
  }
  const doorman = theDoorman(availability.addon)
  const result = await doorman.connect(path, memory, QUEUE_CAPACITY, WINDOW_BYTES)
  if (!('reason' in result)) return new ShmSession(path, result)
  if (result.errno !== 0) throw new UnreachableError(result.errno, path)
  throw new ShmError('SHM_ERR_HANDSHAKE', `no session with ${path}: ${result.reason}`)
}
