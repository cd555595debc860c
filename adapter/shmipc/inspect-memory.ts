/**
 * The memory of a process's sessions, seen from outside: for a process that does not answer, and for
 * what is left of one in a dump.
 */
import { closeSync, fstatSync, openSync, readdirSync, readlinkSync, statSync } from 'node:fs'
import type { Addon } from '../../native/index.ts'
import type { MemoryFile, MemoryImage } from '../../native/memory-image.ts'
import { ShmError } from '../errors.ts'

/** Both regions of a session. */
export interface SessionMemory {
  /** Of the regions; random, the same at both ends. */
  readonly name: string
  /** What the client, who made them, is. */
  readonly client: 'shmesh' | 'shmipc'
  /** Bytes that take memory. */
  readonly residentBytes: number
  readonly buffers: MemoryFile
  readonly queues: MemoryFile
}

/** A session, as far as its memory tells. */
export interface MemoryView extends MemoryImage {
  readonly name: string
  readonly client: 'shmesh' | 'shmipc'
  readonly mappedBytes: number
  readonly residentBytes: number
}

export function viewMemory(addon: Addon, memory: SessionMemory): MemoryView {
  const { name, client, residentBytes, buffers, queues } = memory
  const image = addon.inspectMemory(buffers, queues, client === 'shmesh')
  return { name, client, mappedBytes: buffers.bytes + queues.bytes, residentBytes, ...image }
}

/** `shmesh.1.<window>.<random>_buffer`; plain shmipc: `shmipc/dev/shm/shmipc_<pid>_queue_0`. */
const REGION = /^\/memfd:((?:shmesh\.1\.|shmipc).*)_(buffer|queue)(_\d+)?(?: \(deleted\))?$/

interface Region extends MemoryFile {
  readonly name: string
  readonly residentBytes: number
}

/**
 * The shared memory process `pid` has open, opened here for reading; `close` it.
 *
 * @throws {ShmError} `SHM_ERR_INSPECT`, `SHM_ERR_PERMISSION`
 */
export class ProcessMemory {
  readonly sessions: readonly SessionMemory[]
  readonly #open: number[] = []

  constructor(pid: number) {
    const buffers = new Map<string, Region>()
    const queues: (readonly [prefix: string, queue: Region])[] = []
    const seen = new Set<string>()
    for (const fd of listDescriptors(pid)) {
      const match = REGION.exec(linkOf(pid, fd))
      if (match === null) continue
      const region = this.#openRegion(pid, fd, match[1]! + (match[3] ?? ''), seen)
      if (region === undefined) continue
      if (match[2] === 'buffer') buffers.set(match[1]!, region)
      else queues.push([match[1]!, region])
    }
    // A plain shmipc client has one buffer region for all its sessions to a server.
    this.sessions = queues.flatMap(([prefix, queue]): SessionMemory[] => {
      const region = buffers.get(prefix)
      if (region === undefined) return []
      const residentBytes = region.residentBytes + queue.residentBytes
      const client = prefix.startsWith('shmesh') ? 'shmesh' : 'shmipc'
      return [{ name: queue.name, client, residentBytes, buffers: region, queues: queue }]
    })
  }

  close(): void {
    for (const fd of this.#open.splice(0)) closeSync(fd)
  }

  #openRegion(pid: number, fd: string, name: string, seen: Set<string>): Region | undefined {
    let opened: number
    try {
      opened = openSync(`/proc/${pid}/fd/${fd}`, 'r')
    } catch {
      // Closed meanwhile.
      return undefined
    }
    this.#open.push(opened)
    const { dev, ino, size, blocks } = fstatSync(opened)
    // A process may hold both ends of a session.
    if (seen.has(`${dev}:${ino}`)) return undefined
    seen.add(`${dev}:${ino}`)
    return { name, fd: opened, base: 0, bytes: size, residentBytes: blocks * 512 }
  }
}

/**
 * Numbers of the descriptors `pid` has open.
 *
 * @throws {ShmError}
 */
export function listDescriptors(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EACCES' || code === 'EPERM') {
      const owner = statSync(`/proc/${pid}`).uid
      throw new ShmError(
        'SHM_ERR_PERMISSION',
        `may not look into process ${pid}, which is uid ${owner}'s: become that user, or root (you are uid ${process.geteuid?.()})`
      )
    }
    throw new ShmError('SHM_ERR_INSPECT', `there is no process ${pid}`)
  }
}

/** What a descriptor refers to; '' when it was closed meanwhile. */
export function linkOf(pid: number, fd: string): string {
  try {
    return readlinkSync(`/proc/${pid}/fd/${fd}`)
  } catch {
    return ''
  }
}
