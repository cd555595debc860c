/** Directories sockets live in: which one by default, and who may write to them. */
import { lstatSync, mkdirSync, type Stats, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, isAbsolute, join } from 'node:path'
import { InvalidArgumentError, ShmError } from '../errors.ts'

/**
 * The directory for sockets nobody gave a path: `SHMESH_DIR`, else `$XDG_RUNTIME_DIR/shmesh`, else
 * `shmesh-<uid>` in the temporary directory. Created with mode 0700 when missing.
 *
 * `SHMESH_DIR` is the operator's choice and may be shared with a group; the other two must be a
 * real directory that belongs to this user alone, for anybody can create names in `/tmp`.
 *
 * @throws {ShmError} `SHM_ERR_PERMISSION` when others could place sockets in it,
 *   `SHM_ERR_ADDRESS` when it cannot be created
 */
export function socketDirectory(): string {
  const chosen = process.env['SHMESH_DIR']
  if (chosen !== undefined && chosen !== '') {
    if (!isAbsolute(chosen)) {
      throw new InvalidArgumentError('SHMESH_DIR', 'an absolute path', chosen)
    }
    create(chosen)
    checkDirectory(chosen)
    return chosen
  }
  const uid = process.getuid?.() ?? 0
  const runtime = process.env['XDG_RUNTIME_DIR']
  const directory =
    runtime !== undefined && isOwnDirectory(runtime, uid)
      ? join(runtime, 'shmesh')
      : join(tmpdir(), `shmesh-${uid}`)
  create(directory)
  const stats = lstatSync(directory)
  if (!stats.isDirectory() || stats.uid !== uid) {
    throw permissionError(
      `${directory} is not a directory of uid ${uid} (it belongs to uid ${stats.uid}); remove it, ` +
        'or set SHMESH_DIR to a directory of your own'
    )
  }
  if ((stats.mode & 0o077) !== 0) {
    throw permissionError(
      `${directory} is open to other users (mode ${octal(stats)}); run: chmod 700 ${directory}`
    )
  }
  return directory
}

/** The socket named `name` in {@link socketDirectory}: `app` for apps, `outbound` for proxies. */
export function defaultSocketPath(name: 'app' | 'outbound'): string {
  return join(socketDirectory(), `${name}.sock`)
}

/**
 * Checks that `directory` exists and that not everybody can replace what is in it.
 *
 * @throws {ShmError} `SHM_ERR_ADDRESS`, `SHM_ERR_PERMISSION`
 */
export function checkDirectory(directory: string): void {
  let stats: Stats
  try {
    stats = statSync(directory)
  } catch (error) {
    throw fileError(error, directory, `directory ${directory} does not exist; create it first`)
  }
  if (!stats.isDirectory()) throw addressError(`${directory} is not a directory`)
  const writableByAll = (stats.mode & 0o002) !== 0
  const sticky = (stats.mode & 0o1000) !== 0
  if (writableByAll && !sticky) {
    throw permissionError(
      `every user can replace files in ${directory} (mode ${octal(stats)}), the socket too; ` +
        `run: chmod o-w ${directory} (or chmod +t ${directory}), or choose another directory`
    )
  }
}

/**
 * A failed file operation as the error a user can act on.
 *
 * @param ifMissing the message when a name on the way to `path` does not exist
 */
export function fileError(error: unknown, path: string, ifMissing: string): ShmError {
  const code = (error as NodeJS.ErrnoException).code
  switch (code) {
    case 'ENOENT':
      return addressError(ifMissing, error)
    case 'ENOTDIR':
      return addressError(`a part of ${path} is a file where a directory must be`, error)
    case 'EACCES':
    case 'EPERM':
    case 'EROFS': {
      const uid = process.geteuid?.()
      const reason = code === 'EROFS' ? 'the file system is read-only' : `uid ${uid} may not`
      return permissionError(
        `cannot use ${path}: ${reason} (${code}); change its owner or mode, or choose another path`,
        error
      )
    }
    default:
      return addressError(`cannot use ${path}: ${(error as Error).message}`, error)
  }
}

function create(directory: string): void {
  try {
    mkdirSync(directory, { mode: 0o700 })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return
    throw fileError(error, directory, `directory ${dirname(directory)} does not exist`)
  }
}

function isOwnDirectory(path: string, uid: number): boolean {
  if (!isAbsolute(path)) return false
  try {
    const stats = statSync(path)
    return stats.isDirectory() && stats.uid === uid
  } catch {
    return false
  }
}

function octal(stats: Stats): string {
  return (stats.mode & 0o7777).toString(8).padStart(4, '0')
}

function addressError(message: string, cause?: unknown): ShmError {
  return new ShmError('SHM_ERR_ADDRESS', message, cause === undefined ? undefined : { cause })
}

function permissionError(message: string, cause?: unknown): ShmError {
  return new ShmError('SHM_ERR_PERMISSION', message, cause === undefined ? undefined : { cause })
}
