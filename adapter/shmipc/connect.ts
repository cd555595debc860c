import { getSystemErrorName } from 'node:util'
import { ShmError } from '../errors.ts'
import { parseMemory, parseWindow } from '../options.ts'
import { parseShmAddress } from './address.ts'
import { sharedMemory } from './availability.ts'
import { theDoorman } from './doorman.ts'
import { parseLeakWarning } from './leak-watch.ts'
import { QUEUE_CAPACITY } from './limits.ts'
import { ShmSession } from './session.ts'

export interface ConnectOptions {
  /**
   * Shared memory of the session, with its unit. Pages are taken when first used.
   *
   * @defaultValue '64MiB'
   */
  readonly memory?: string | undefined
  /**
   * What the peer may send on one stream before this end has read it, with its unit; a message
   * that begins within it may exceed it by 256 KiB. It bounds what a slow reader holds.
   *
   * @defaultValue '1MiB'
   */
  readonly window?: string | undefined
  /**
   * How long shared memory may be held, by consumers here or by the peer for a stream that is gone,
   * before it is reported as a leak: by a warning once, by `shmesh:slice:leak` each time. With its
   * unit; `false` for never. `SHMESH_TRACE_LEASES=1` in the environment adds who took it.
   *
   * @defaultValue '60s'
   */
  readonly leakWarning?: string | false | undefined
  /**
   * @internal By shmipc's own rules, as between plain shmipc ends: no credit, no half-close, and
   * both ends allocate from every list.
   */
  readonly plain?: boolean | undefined
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
  // A client without a window knows no credit: the server takes it for plain shmipc.
  const window = options.plain === true ? 0 : parseWindow('window', options.window)
  const leakWarningMs = parseLeakWarning('leakWarning', options.leakWarning)
  const availability = sharedMemory()
  if (availability.addon === undefined) {
    throw new ShmError('SHM_ERR_UNAVAILABLE', `no shared memory: ${availability.reason}`)
  }
  const doorman = theDoorman(availability.addon)
  const result = await doorman.connect(path, memory, QUEUE_CAPACITY, window)
  if (!('reason' in result)) return new ShmSession(path, result, window, leakWarningMs)
  if (result.errno !== 0) throw new UnreachableError(result.errno, path)
  throw new ShmError('SHM_ERR_HANDSHAKE', `no session with ${path}: ${result.reason}`)
}
