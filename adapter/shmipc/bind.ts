/**
 * How a server gets its socket path.
 *
 *     <dir>/.k3x9qa/      private, 0700: nobody can connect before mode and group are right
 *     <dir>/.k3x9qa/s     the caller binds and listens here
 *     <dir>/app.sock      publish(): appears here complete, by link(2) or rename(2)
 *     <dir>/.stale-…/     held for the instant a dead server's file is replaced
 *
 * link(2) fails when the name exists, so of servers starting together one wins. A dead server's
 * file is replaced by rename(2), which would also replace a live one; it is done only by the holder
 * of a claim, a directory named after the dead file's identity, and only while that file is there.
 */
import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  linkSync,
  mkdirSync,
  renameSync,
  rmdirSync,
  statSync,
  unlinkSync
} from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { ShmError } from '../errors.ts'
import { checkPath, PRIVATE_DIRECTORY_RANDOM, TEMPORARY_SOCKET_NAME } from './address.ts'
import { checkDirectory, fileError } from './socket-directory.ts'
import { type FileIdentity, identifySocket, inspectSocket, isSameFile } from './socket-file.ts'
import { checkMode, resolveGroup } from './socket-permissions.ts'

/** A claim is held for microseconds; an older one belongs to a process killed in between. */
const ABANDONED_CLAIM_MS = 2000
/** How long publish() contends with other starting servers before it gives up. */
const PUBLISH_TIMEOUT_MS = 5000

export interface ClaimOptions {
  /** Replace a living server on the same path. @defaultValue false */
  readonly takeover?: boolean | undefined
  /** Permission bits of the socket; connecting needs write permission. @defaultValue 0o600 */
  readonly mode?: number | undefined
  /** Group of the socket, by name (looked up in /etc/group) or gid. @defaultValue this process's */
  readonly group?: string | number | undefined
}

export interface ClaimedPath {
  /** Where the caller binds and listens. */
  readonly bindPath: string
  /**
   * Gives the bound socket its mode and group, then makes it appear at the path. After a failure
   * nothing of this claim is left on disk; closing the listening socket is the caller's.
   *
   * @throws {ShmError} `SHM_ERR_ADDRESS_IN_USE`, `SHM_ERR_ADDRESS`, `SHM_ERR_PERMISSION`
   */
  publish(): Promise<void>
  /**
   * Removes what this claim made; the path only while it is still our socket. Idempotent. Call it
   * before the listening socket is closed, so that nobody meets a path without a server.
   */
  release(): void
  /** Another server has taken the path over; it is served. */
  readonly superseded: boolean
}

/**
 * Prepares to serve `path`. Everything that can be refused before binding is refused here, with
 * nothing left on disk.
 *
 * @throws {InvalidArgumentError} for `mode` and `group`
 * @throws {ShmError} `SHM_ERR_ADDRESS`, `SHM_ERR_PERMISSION`, `SHM_ERR_ADDRESS_IN_USE`
 */
export async function claimPath(path: string, options: ClaimOptions = {}): Promise<ClaimedPath> {
  const mode = checkMode(options.mode ?? 0o600)
  const gid = options.group === undefined ? undefined : resolveGroup(options.group)
  const takeover = options.takeover === true
  const directory = dirname(path)
  checkPath(path, 'path')
  checkDirectory(directory)
  const occupant = await inspectSocket(path)
  if (occupant.state === 'live' && !takeover) throw addressInUse(path)

  const random = randomBytes(PRIVATE_DIRECTORY_RANDOM).toString('base64url')
  const privateDirectory = join(directory, `.${random.slice(0, PRIVATE_DIRECTORY_RANDOM)}`)
  try {
    mkdirSync(privateDirectory, { mode: 0o700 })
  } catch (error) {
    throw fileError(error, directory, `directory ${directory} does not exist`)
  }
  return new Claim(path, privateDirectory, { mode, gid, takeover })
}

interface ResolvedOptions {
  readonly mode: number
  readonly gid: number | undefined
  readonly takeover: boolean
}

class Claim implements ClaimedPath {
  readonly bindPath: string
  readonly #path: string
  readonly #privateDirectory: string
  readonly #options: ResolvedOptions
  #published: FileIdentity | undefined
  #released = false

  constructor(path: string, privateDirectory: string, options: ResolvedOptions) {
    this.#path = path
    this.#privateDirectory = privateDirectory
    this.#options = options
    this.bindPath = join(privateDirectory, TEMPORARY_SOCKET_NAME)
  }

  async publish(): Promise<void> {
    try {
      const identity = this.#prepare()
      await this.#appear()
      this.#published = identity
      this.#removePrivate()
    } catch (error) {
      this.release()
      throw error instanceof ShmError
        ? error
        : fileError(error, this.#path, `directory ${dirname(this.#path)} does not exist`)
    }
  }

  get superseded(): boolean {
    if (this.#published === undefined) return false
    try {
      const occupant = identifySocket(this.#path)
      return occupant !== undefined && !isSameFile(occupant, this.#published)
    } catch {
      return false
    }
  }

  release(): void {
    if (this.#released) return
    this.#released = true
    this.#removePrivate()
    if (this.#published === undefined) return
    try {
      if (isSameFile(identifySocket(this.#path), this.#published)) unlinkSync(this.#path)
    } catch {
      // Gone, or not ours any more, or in a directory that may no longer be written.
    }
  }

  #prepare(): FileIdentity {
    const { mode, gid } = this.#options
    const identity = this.#released ? undefined : identifySocket(this.bindPath)
    if (identity === undefined) throw new ShmError('SHM_ERR_ADDRESS', `${this.#path} is not bound`)
    if (gid !== undefined) this.#chgrp(gid)
    chmodSync(this.bindPath, mode)
    return identity
  }

  #chgrp(gid: number): void {
    try {
      chownSync(this.bindPath, -1, gid)
    } catch (error) {
      throw new ShmError(
        'SHM_ERR_PERMISSION',
        `cannot give ${this.#path} to group ${gid}: uid ${process.geteuid?.()} is not a member of it; make it one, or choose another group`,
        { cause: error }
      )
    }
  }

  async #appear(): Promise<void> {
    const deadline = Date.now() + PUBLISH_TIMEOUT_MS
    while (!this.#linkIfFree()) {
      const occupant = await inspectSocket(this.#path)
      if (this.#released) throw new ShmError('SHM_ERR_ADDRESS', `${this.#path} was released`)
      if (occupant.state === 'absent') continue
      if (occupant.state === 'live') {
        if (!this.#options.takeover) throw addressInUse(this.#path)
        renameSync(this.bindPath, this.#path)
        return
      }
      if (this.#replaceStale(occupant.identity)) return
      if (Date.now() > deadline) throw addressInUse(this.#path)
      await delay(5)
    }
  }

  #linkIfFree(): boolean {
    try {
      linkSync(this.bindPath, this.#path)
      return true
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
      throw error
    }
  }

  /** Returns false when somebody else is replacing, or has replaced, the dead server's file. */
  #replaceStale(stale: FileIdentity): boolean {
    const name = `.stale-${stale.ino.toString(36)}-${stale.mtimeNs.toString(36)}`
    const claim = join(dirname(this.#path), name)
    try {
      mkdirSync(claim, { mode: 0o700 })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      dropAbandoned(claim)
      return false
    }
    try {
      if (!isSameFile(identifySocket(this.#path), stale)) return false
      renameSync(this.bindPath, this.#path)
      return true
    } finally {
      rmdirSync(claim)
    }
  }

  #removePrivate(): void {
    try {
      unlinkSync(this.bindPath)
    } catch {
      // Renamed to its path, never bound, or removed by whoever closed the socket.
    }
    try {
      rmdirSync(this.#privateDirectory)
    } catch {
      // Removed before.
    }
  }
}

function dropAbandoned(claim: string): void {
  try {
    if (Date.now() - statSync(claim).mtimeMs > ABANDONED_CLAIM_MS) rmdirSync(claim)
  } catch {
    // Its holder has just finished.
  }
}

function addressInUse(path: string): ShmError {
  return new ShmError(
    'SHM_ERR_ADDRESS_IN_USE',
    `a living server listens on ${path}; stop it, choose another path, replace it with ` +
      'takeover: true, or let processes share a directory: a path that ends in /'
  )
}
