/** What a valid address of a shared-memory socket looks like. */
import { dirname, isAbsolute } from 'node:path'
import { InvalidArgumentError, ShmError } from '../errors.ts'

const SCHEME = 'shm://'

/** Bytes `sockaddr_un.sun_path` holds before its terminating NUL. */
const MAX_PATH_BYTES = process.platform === 'linux' ? 107 : 103

/** A server first binds `s` in a private directory (`.` and random characters) beside its path. */
export const PRIVATE_DIRECTORY_RANDOM = 6
export const TEMPORARY_SOCKET_NAME = 's'
const TEMPORARY_BYTES =
  '/.'.length + PRIVATE_DIRECTORY_RANDOM + '/'.length + TEMPORARY_SOCKET_NAME.length

/**
 * The path of the Unix socket `address` names: `shm:///run/app.sock` (percent-decoded) or a plain
 * absolute path (taken as it is).
 *
 * @param option name of the option or argument, for the message
 * @throws {InvalidArgumentError} when it is neither
 * @throws {ShmError} `SHM_ERR_ADDRESS` when no socket can have that path
 */
export function parseShmAddress(option: string, address: string): string {
  const path = typeof address === 'string' ? toPath(option, address) : undefined
  if (path === undefined || !isAbsolute(path)) {
    const expected = "'shm:///absolute/path.sock' or an absolute path"
    throw new InvalidArgumentError(option, expected, address)
  }
  checkPath(path, option)
  return path
}

/**
 * The directory `address` names by its last character, a slash: `shm:///run/app/`, or an absolute
 * path. Every socket in it is a server. `undefined` when it names a socket.
 *
 * @param option name of the option or argument, for the message
 * @throws {InvalidArgumentError} when it is neither
 * @throws {ShmError} `SHM_ERR_ADDRESS` when no socket could be in it
 */
export function parseShmDirectory(option: string, address: string): string | undefined {
  if (typeof address !== 'string' || !address.endsWith('/')) return undefined
  const directory = address.replace(/\/+$/, '')
  if (directory === '' || directory === 'shm:') {
    throw new InvalidArgumentError(option, 'a directory other than the root', address)
  }
  return parseShmAddress(option, directory)
}

export interface SessionAddress {
  /** A path, or an IP address and a port. */
  readonly path: string
  /** TCP on this machine. */
  readonly isLoopback: boolean
}

const LOOPBACK = /^(127(?:\.\d{1,3}){3}|localhost|\[::1\]):(\d{1,5})$/

/**
 * As {@link parseShmAddress}, and `shm://127.0.0.1:7000`, `shm://[::1]:7000`, `shm://localhost:7000`:
 * the control socket is TCP then, for programs that share no directory but /dev/shm.
 *
 * @throws {InvalidArgumentError} also for an address of another machine
 */
export function parseSessionAddress(option: string, address: string): SessionAddress {
  const rest = String(address).startsWith(SCHEME) ? address.slice(SCHEME.length) : ''
  if (rest === '' || rest.startsWith('/') || !/:\d+$/.test(rest)) {
    return { path: parseShmAddress(option, address), isLoopback: false }
  }
  const [, host, port] = LOOPBACK.exec(rest) ?? []
  if (host === undefined || Number(port) > 65_535) {
    const expected = "an address of this machine: 'shm://127.0.0.1:7000'"
    throw new InvalidArgumentError(option, expected, address)
  }
  return { path: `${host === 'localhost' ? '127.0.0.1' : host}:${port}`, isLoopback: true }
}

function toPath(option: string, address: string): string | undefined {
  if (!address.startsWith(SCHEME)) return address
  const rest = address.slice(SCHEME.length)
  if (!rest.startsWith('/')) {
    const expected = `an address without a host: '${SCHEME}/${rest}' has three slashes`
    throw new InvalidArgumentError(option, expected, address)
  }
  if (/[?#]/.test(rest)) {
    const expected = "an address without query or fragment ('?' is written %3F, '#' %23)"
    throw new InvalidArgumentError(option, expected, address)
  }
  try {
    return decodeURIComponent(rest)
  } catch {
    throw new InvalidArgumentError(
      option,
      "an address whose '%' are followed by two hex digits",
      address
    )
  }
}

/**
 * Checks that a server can bind and a client can connect `path`.
 *
 * @param option name of the option or argument, for the message
 * @throws {ShmError} `SHM_ERR_ADDRESS`
 */
export function checkPath(path: string, option: string): void {
  if (path.includes('\0')) {
    throw new ShmError(
      'SHM_ERR_ADDRESS',
      `${option}: the socket path contains a NUL byte; abstract sockets are not supported`
    )
  }
  if (path.endsWith('/')) {
    throw new ShmError(
      'SHM_ERR_ADDRESS',
      `${option}: ${path} names a directory; add the name of the socket file`
    )
  }
  const bytes = Buffer.byteLength(path)
  if (bytes > MAX_PATH_BYTES) {
    throw new ShmError(
      'SHM_ERR_ADDRESS',
      `${option}: the socket path is ${bytes} bytes long and a Unix socket path holds at most ` +
        `${MAX_PATH_BYTES}; choose a shorter one: ${path}`
    )
  }
  const directoryBytes = Buffer.byteLength(dirname(path))
  const limit = MAX_PATH_BYTES - TEMPORARY_BYTES
  if (directoryBytes > limit) {
    throw new ShmError(
      'SHM_ERR_ADDRESS',
      `${option}: the directory of the socket is ${directoryBytes} bytes long and may have at most ${limit} ` +
        `(a server first binds a temporary name in it); choose a shorter one: ${path}`
    )
  }
}
