import { randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { threadId } from 'node:worker_threads'
import { checkDirectory, fileError } from './socket-directory.ts'
import { identifySocket, inspectSocket, isSameFile } from './socket-file.ts'

const RANDOM = 6
/** Process, thread, random characters: a name is never used twice. */
const NAME = /^\d+-\d+-[\w-]{6}\.sock$/

/**
 * A name for a socket of this thread in a directory that many processes and threads serve, each by
 * a socket of its own. The directory is made, with mode 0700, when it is missing; what killed
 * servers left in it is removed.
 *
 * @throws {ShmError} `SHM_ERR_ADDRESS`, `SHM_ERR_PERMISSION`
 */
export async function socketIn(directory: string): Promise<string> {
  try {
    mkdirSync(directory, { mode: 0o700 })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
      throw fileError(error, directory, `the directory ${directory} would be in does not exist`)
    }
  }
  checkDirectory(directory)
  const names = readdirSync(directory).filter((name) => NAME.test(name))
  await Promise.all(names.map((name) => removeStale(join(directory, name))))
  const random = randomBytes(RANDOM).toString('base64url').slice(0, RANDOM)
  return join(directory, `${process.pid}-${threadId}-${random}.sock`)
}

async function removeStale(path: string): Promise<void> {
  try {
    const occupant = await inspectSocket(path)
    if (occupant.state !== 'stale') return
    if (isSameFile(identifySocket(path), occupant.identity)) unlinkSync(path)
  } catch {
    // Another's to look at, or just removed.
  }
}
