import { Socket } from 'node:net'
import { getSystemErrorName } from 'node:util'
import { ShmError } from '../errors.ts'
import { sharedMemory } from './availability.ts'
import { UnreachableError } from './connect.ts'

/** How long a process may take to answer, in ms: one that is well needs one turn of its loop. */
const ANSWER_TIMEOUT_MS = 1000
/** Longest answer that is read, in bytes. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024

/** Who listens on a path, and what it said of itself. */
export interface Answer {
  /** 0 when it is in another pid namespace. */
  readonly pid: number
  readonly uid: number
  /** Not checked: the process may be anybody's. */
  readonly report?: unknown
  /** Why there is no report. */
  readonly problem?: string
}

/**
 * Asks the process that listens on `path` what it holds in shared memory.
 *
 * @param onlyPid asks nobody else
 * @throws {UnreachableError} nobody listens
 * @throws {ShmError} `SHM_ERR_UNAVAILABLE` without the addon, which knows who listens
 */
export async function askListener(path: string, onlyPid?: number): Promise<Answer> {
  const { addon, reason } = sharedMemory()
  if (addon === undefined) throw new ShmError('SHM_ERR_UNAVAILABLE', `cannot inspect: ${reason}`)
  const dialled = addon.dial(path)
  if (typeof dialled === 'number') {
    // EAGAIN: somebody listens who has not accepted for a long time.
    if (getSystemErrorName(-dialled) !== 'EAGAIN') throw new UnreachableError(dialled, path)
    return { pid: 0, uid: -1, problem: 'it accepts no connections: its backlog is full' }
  }
  const { fd, pid, uid } = dialled
  const socket = new Socket({ fd, readable: true, writable: true })
  if (onlyPid !== undefined && pid !== onlyPid) {
    socket.destroy()
    return { pid, uid, problem: `process ${pid} listens there` }
  }
  const text = await readAnswer(socket)
  return { pid, uid, ...(text === undefined ? silent() : parse(text)) }
}

/** All that comes within the time limit; undefined when the end did not come. */
function readAnswer(socket: Socket): Promise<string | undefined> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    let bytes = 0
    let whole = false
    const timer = setTimeout(() => socket.destroy(), ANSWER_TIMEOUT_MS)
    socket.on('data', (chunk) => {
      bytes += chunk.length
      chunks.push(chunk)
      if (bytes > MAX_ANSWER_BYTES) socket.destroy()
    })
    socket.on('end', () => {
      whole = true
    })
    socket.on('error', () => undefined)
    socket.on('close', () => {
      clearTimeout(timer)
      resolve(whole || bytes > 0 ? Buffer.concat(chunks).toString() : undefined)
    })
    socket.write('inspect\n')
  })
}

function silent(): Pick<Answer, 'problem'> {
  return { problem: `it did not answer within ${ANSWER_TIMEOUT_MS / 1000} s: stopped, or busy` }
}

function parse(text: string): Pick<Answer, 'report' | 'problem'> {
  if (text === '') {
    return { problem: 'it hung up: only its own user and root may ask' }
  }
  if (text.startsWith('HTTP/')) {
    return { problem: 'it answered in HTTP: it does not use shared memory' }
  }
  try {
    return { report: JSON.parse(text) }
  } catch {
    return { problem: 'its answer is not JSON, or did not end' }
  }
}
