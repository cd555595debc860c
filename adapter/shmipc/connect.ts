import { getSystemErrorName } from 'node:util'
import { InvalidArgumentError, ShmError } from '../errors.ts'
import { checkOptionNames, parseMemory } from '../options.ts'
import { parseSessionAddress } from './address.ts'
import { sharedMemory } from './availability.ts'
import { theDoorman } from './doorman.ts'
import { QUEUE_CAPACITY } from './limits.ts'
import { ShmSession } from './session.ts'
import {
  pinTo,
  resolveSessionOptions,
  SESSION_OPTIONS,
  type SessionOptions
} from './session-options.ts'

export interface ConnectOptions extends SessionOptions {
  /**
   * Shared memory of the session, with its unit. Pages are taken when first used.
   *
   * @defaultValue '64MiB'
   */
  readonly memory?: string | undefined
  /**
   * How the memory is handed over. `memfd`: as descriptors, by the Unix socket. `file`: as files in
   * /dev/shm, 0600, which are removed once the server has them; `file-v2`: the same by version 2 of
   * the protocol, for servers that speak no other. Files are shared by shmipc's own rules, also
   * between two shmesh ends, and are the only way over TCP.
   *
   * @defaultValue 'memfd'
   */
  readonly sharing?: keyof typeof SHARING | undefined
  /**
   * @internal By shmipc's own rules, as between plain shmipc ends: no credit, no half-close, and
   * both ends allocate from every list.
   */
  readonly plain?: boolean | undefined
}

const OPTIONS: readonly (keyof ConnectOptions)[] = [
  'memory',
  'sharing',
  'plain',
  ...SESSION_OPTIONS
]

/** As the core counts them. */
const SHARING = { memfd: 0, file: 1, 'file-v2': 2 } as const

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
 * Opens a session to the server at `address` (`shm:///run/x.sock`, a path, or `shm://127.0.0.1:7000`
 * for TCP on this machine): creates the shared memory, connects, hands it over.
 *
 * @throws {InvalidArgumentError} for an option that is unknown or cannot be meant
 * @throws {ShmError} `SHM_ERR_UNAVAILABLE` without shared memory in this process, or when it can
 *   wait for no more descriptors,
 *   `SHM_ERR_HANDSHAKE` when somebody listens who does not take it
 * @throws {UnreachableError} when nobody listens
 */
export async function connect(address: string, options: ConnectOptions = {}): Promise<ShmSession> {
  checkOptionNames('connect', options, OPTIONS)
  const { path, isLoopback } = parseSessionAddress('address', address)
  const sharing = checkSharing(options.sharing, isLoopback)
  const memory = parseMemory('memory', options.memory)
  // A client without a window knows no credit: the server takes it for plain shmipc.
  const session = resolveSessionOptions(options)
  const window = options.plain === true ? 0 : session.window
  const availability = sharedMemory()
  if (availability.addon === undefined) {
    throw new ShmError('SHM_ERR_UNAVAILABLE', `no shared memory: ${availability.reason}`)
  }
  pinTo(availability.addon, options.cpus)
  const doorman = theDoorman(availability.addon)
  const result = await doorman.connect(path, memory, QUEUE_CAPACITY, window, sharing)
  if (!('reason' in result)) {
    const opened = new ShmSession(path, result, session)
    if (opened.failure !== undefined) throw opened.failure
    return opened
  }
  if (result.errno !== 0) throw new UnreachableError(result.errno, path)
  throw new ShmError('SHM_ERR_HANDSHAKE', `no session with ${path}: ${result.reason}`)
}

function checkSharing(sharing: ConnectOptions['sharing'], isLoopback: boolean): 0 | 1 | 2 {
  const chosen = sharing ?? (isLoopback ? 'file' : 'memfd')
  if (!Object.hasOwn(SHARING, chosen)) {
    throw new InvalidArgumentError('sharing', "'memfd', 'file' or 'file-v2'", sharing)
  }
  if (isLoopback && chosen === 'memfd') {
    throw new InvalidArgumentError('sharing', "'file' or 'file-v2' over TCP", sharing)
  }
  return SHARING[chosen]
}
