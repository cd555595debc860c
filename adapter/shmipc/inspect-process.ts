import { lstatSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { ShmError } from '../errors.ts'
import { TEMPORARY_SOCKET_NAME } from './address.ts'
import { type Availability, sharedMemory } from './availability.ts'
import { type Answer, askListener } from './inspect-ask.ts'
import {
  linkOf,
  listDescriptors,
  type MemoryView,
  ProcessMemory,
  viewMemory
} from './inspect-memory.ts'
import { checkThreadReport } from './inspect-shape.ts'
import type { ThreadReport } from './inspection.ts'

/** What `shmesh inspect` shows: of a living process, or of one a dump was made of. */
export interface Inspection {
  /** Of this document. */
  readonly format: 1
  /** When it was made, ISO 8601. */
  readonly takenAt: string
  readonly pid: number
  readonly uid: number
  /** The process's name. */
  readonly command: string
  /** What it said itself: each thread that serves a socket. */
  readonly threads: readonly ThreadReport[]
  /** Why it said nothing; null when it did. */
  readonly unanswered: string | null
  /** Its sessions' memory, seen from outside. */
  readonly memory: readonly MemoryView[]
}

/** Directory entries beside a socket that are tried to find its name. */
const MAX_NAMES = 256
/** __SO_ACCEPTCON in the flags of /proc/PID/net/unix. */
const LISTENS = 0x10000

/**
 * Asks the process that listens on `path`; looks into its memory when it does not answer, or when
 * `memory` is set.
 *
 * @throws {UnreachableError} nobody listens
 * @throws {ShmError} `SHM_ERR_INSPECT`, `SHM_ERR_PERMISSION`, `SHM_ERR_UNAVAILABLE`
 */
export async function inspectPath(path: string, memory = false): Promise<Inspection> {
  const answer = await askListener(path)
  if (answer.pid === 0) {
    const problem = answer.problem ?? 'it answered'
    throw new ShmError(
      'SHM_ERR_INSPECT',
      `cannot tell which process listens on ${path}, only that ${problem}; inspect it by its pid, where that is known`
    )
  }
  return gather(answer.pid, [answer], memory)
}

/** As {@link inspectPath}, of a process; its sockets are found in /proc. */
export async function inspectProcess(pid: number, memory = false): Promise<Inspection> {
  const answers: Answer[] = []
  for (const path of listeningPaths(pid)) {
    const answer = await askListener(path, pid).catch(() => undefined)
    if (answer?.pid === pid) answers.push(answer)
    // The others would not answer either.
    if (answer?.pid === pid && answer.report === undefined) break
  }
  return gather(pid, answers, memory)
}

function gather(pid: number, answers: readonly Answer[], memory: boolean): Inspection {
  const threads = new Map<number, ThreadReport>()
  let unanswered: string | null = answers.length === 0 ? 'it listens on no shmesh socket' : null
  for (const { report, problem } of answers) {
    if (report === undefined) {
      unanswered ??= problem ?? 'no answer'
      continue
    }
    checkThreadReport(report)
    threads.set((report as ThreadReport).thread, report as ThreadReport)
  }
  if (threads.size > 0) unanswered = null
  const views = memory || unanswered !== null ? viewProcess(pid) : []
  if (unanswered !== null && views.length === 0) {
    throw new ShmError(
      'SHM_ERR_INSPECT',
      `process ${pid} (${commandOf(pid)}): ${unanswered}, and it has no shared memory of shmesh or shmipc open`
    )
  }
  return {
    format: 1,
    takenAt: new Date().toISOString(),
    pid,
    uid: ownerOf(pid),
    command: commandOf(pid),
    threads: [...threads.values()].sort((a, b) => a.thread - b.thread),
    unanswered,
    memory: views
  }
}

function viewProcess(pid: number): MemoryView[] {
  const memory = new ProcessMemory(pid)
  try {
    return memory.sessions.map((session) => viewMemory(requireAddon(), session))
  } finally {
    memory.close()
  }
}

/** @throws {ShmError} `SHM_ERR_UNAVAILABLE` */
export function requireAddon(): NonNullable<Availability['addon']> {
  const { addon, reason } = sharedMemory()
  if (addon === undefined) throw new ShmError('SHM_ERR_UNAVAILABLE', `cannot inspect: ${reason}`)
  return addon
}

/** Where sockets may be that shmesh listens on in `pid`. Others are left alone. */
function listeningPaths(pid: number): string[] {
  const inodes = new Set<string>()
  for (const fd of listDescriptors(pid)) {
    const inode = /^socket:\[(\d+)\]$/.exec(linkOf(pid, fd))?.[1]
    if (inode !== undefined) inodes.add(inode)
  }
  const root = sameFiles(pid) ? '' : `/proc/${pid}/root`
  const paths = new Set<string>()
  for (const line of readText(`/proc/${pid}/net/unix`).split('\n')) {
    const [, , , flags = '', , , inode = '', bound = ''] = line.split(/\s+/)
    if ((Number.parseInt(flags, 16) & LISTENS) === 0 || !inodes.has(inode)) continue
    // The kernel knows the name a socket was bound by, in a directory of its own (bind.ts).
    if (basename(bound) !== TEMPORARY_SOCKET_NAME) continue
    const directory = root + dirname(dirname(bound))
    for (const path of socketsIn(directory)) paths.add(path)
  }
  return [...paths]
}

function socketsIn(directory: string): string[] {
  try {
    return readdirSync(directory)
      .slice(0, MAX_NAMES)
      .map((name) => join(directory, name))
      .filter((path) => lstatSync(path, { throwIfNoEntry: false })?.isSocket())
  } catch {
    return []
  }
}

/** Whether paths mean the same to `pid` as to us. */
function sameFiles(pid: number): boolean {
  try {
    return readlinkSync(`/proc/${pid}/ns/mnt`) === readlinkSync('/proc/self/ns/mnt')
  } catch {
    return true
  }
}

function commandOf(pid: number): string {
  return readText(`/proc/${pid}/comm`).trim()
}

function ownerOf(pid: number): number {
  return statSync(`/proc/${pid}`, { throwIfNoEntry: false })?.uid ?? -1
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}
