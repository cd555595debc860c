/** What is at a socket path: nothing, a server, or what a killed server left. */
import { lstatSync } from 'node:fs'
import { createConnection } from 'node:net'
import { dirname } from 'node:path'
import { ShmError } from '../errors.ts'
import { fileError } from './socket-directory.ts'

/** Tells one socket file from a later one of the same name, and of the same, reused, inode. */
export interface FileIdentity {
  readonly dev: bigint
  readonly ino: bigint
  /** Set when the socket is bound; rename, link, chmod and connect leave it. */
  readonly mtimeNs: bigint
}

export type Occupant =
  | { readonly state: 'absent' }
  /** Nobody listens: its server died without removing it. */
  | { readonly state: 'stale'; readonly identity: FileIdentity }
  | { readonly state: 'live' }

/**
 * The identity of the socket at `path`, or `undefined` when nothing is there.
 *
 * @throws {ShmError} `SHM_ERR_ADDRESS` when something else than a socket is there
 */
export function identifySocket(path: string): FileIdentity | undefined {
  let stats: ReturnType<typeof lstatBig>
  try {
    stats = lstatBig(path)
  } catch (error) {
    throw fileError(error, path, `directory ${dirname(path)} does not exist`)
  }
  if (stats === undefined) return undefined
  if (!stats.isSocket()) {
    const kind = stats.isDirectory() ? 'a directory' : stats.isSymbolicLink() ? 'a link' : 'a file'
    throw new ShmError(
      'SHM_ERR_ADDRESS',
      `${path} is ${kind}, not a socket, and is left alone; remove it or choose another path`
    )
  }
  return { dev: stats.dev, ino: stats.ino, mtimeNs: stats.mtimeNs }
}

export function isSameFile(a: FileIdentity | undefined, b: FileIdentity): boolean {
  return a !== undefined && a.dev === b.dev && a.ino === b.ino && a.mtimeNs === b.mtimeNs
}

/**
 * Looks at `path`, and asks the kernel by connecting whether anybody listens there. A server sees
 * one connection that is closed without a byte.
 *
 * @throws {ShmError} `SHM_ERR_ADDRESS` when something else than a stream socket is there,
 *   `SHM_ERR_PERMISSION` when this process may not find out
 */
export async function inspectSocket(path: string): Promise<Occupant> {
  const identity = identifySocket(path)
  if (identity === undefined) return { state: 'absent' }
  const failure = await connectFailure(path)
  switch (failure?.code) {
    case undefined:
    // The queue of a server that is too busy to accept.
    case 'EAGAIN':
      return { state: 'live' }
    case 'ECONNREFUSED':
      return { state: 'stale', identity }
    case 'ENOENT':
      return { state: 'absent' }
    case 'EPROTOTYPE':
      throw new ShmError(
        'SHM_ERR_ADDRESS',
        `${path} is a datagram socket of another program and is left alone; choose another path`,
        { cause: failure }
      )
    default:
      throw fileError(failure, path, '')
  }
}

function lstatBig(path: string) {
  return lstatSync(path, { bigint: true, throwIfNoEntry: false })
}

function connectFailure(path: string): Promise<NodeJS.ErrnoException | undefined> {
  return new Promise((resolve) => {
    const socket = createConnection({ path })
    socket.once('connect', () => {
      resolve(undefined)
      socket.destroy()
    })
    socket.on('error', resolve)
  })
}
