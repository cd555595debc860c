/**
 * A copy of what `shmesh inspect` saw, for later and elsewhere:
 *
 *      0  `shmesh dump 1\n`, filled up with zeros to 16 bytes
 *     16  u64, little-endian: bytes of the facts
 *     24  the facts: JSON, UTF-8
 *      …  from the next multiple of 4096: images of the sessions' regions, as the facts say, sparse
 *
 * Payloads are zeros unless they were asked for.
 */
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  unlinkSync,
  writeSync
} from 'node:fs'
import type { MemoryFile } from '../../native/memory-image.ts'
import { ShmError } from '../errors.ts'
import { ProcessMemory, type SessionMemory, viewMemory } from './inspect-memory.ts'
import { type Inspection, requireAddon } from './inspect-process.ts'
import { check, checkThreadReport, type Shape } from './inspect-shape.ts'

const MAGIC = Buffer.from('shmesh dump 1\n\0\0', 'latin1')
const FACTS_AT = 24
const MAX_FACTS_BYTES = 64 * 1024 * 1024
const PAGE_BYTES = 4096

/** `base` counts from the first image. */
type Place = Omit<MemoryFile, 'fd'>

interface Facts {
  readonly inspection: Omit<Inspection, 'memory'>
  /** Payloads are in the images, too. */
  readonly payload: boolean
  readonly images: readonly (Omit<SessionMemory, 'buffers' | 'queues'> & {
    readonly buffers: Place
    readonly queues: Place
  })[]
}

const PLACE: Shape = { base: 'number', bytes: 'number' }
const FACTS: Shape = {
  inspection: {
    format: 'number',
    takenAt: 'string',
    pid: 'number',
    uid: 'number',
    command: 'string',
    threads: [{}],
    unanswered: 'string or null'
  },
  payload: 'boolean',
  images: [
    { name: 'string', client: 'string', residentBytes: 'number', buffers: PLACE, queues: PLACE }
  ]
}

/**
 * Writes `inspection`, and images of the process's memory as it is now, to a new file that only this
 * user can read. Returns how many sessions' memory is in it.
 *
 * @throws {ShmError} `SHM_ERR_INSPECT` when `file` exists or cannot be written
 */
export function writeDump(file: string, inspection: Inspection, payload: boolean): number {
  const { memory: _, ...facts } = inspection
  const process = new ProcessMemory(inspection.pid)
  try {
    const fd = create(file)
    try {
      writeImages(fd, { inspection: facts, payload, images: [] }, process.sessions)
    } catch (error) {
      unlinkSync(file)
      throw new ShmError('SHM_ERR_INSPECT', `cannot write ${file}: ${(error as Error).message}`, {
        cause: error
      })
    } finally {
      closeSync(fd)
    }
    return process.sessions.length
  } finally {
    process.close()
  }
}

function create(file: string): number {
  try {
    const { O_CREAT, O_EXCL, O_NOFOLLOW, O_RDWR } = constants
    return openSync(file, O_CREAT | O_EXCL | O_NOFOLLOW | O_RDWR, 0o600)
  } catch (error) {
    const exists = (error as NodeJS.ErrnoException).code === 'EEXIST'
    throw new ShmError(
      'SHM_ERR_INSPECT',
      exists
        ? `${file} exists; a dump never replaces a file: name another, or remove it`
        : `cannot create ${file}: ${(error as Error).message}`
    )
  }
}

function writeImages(fd: number, facts: Facts, sessions: readonly SessionMemory[]): void {
  let end = 0
  const place = ({ bytes }: MemoryFile): Place => {
    const base = pageAfter(end)
    end = base + bytes
    return { base, bytes }
  }
  const images = sessions.map((session) => ({
    ...session,
    buffers: place(session.buffers),
    queues: place(session.queues)
  }))
  const json = Buffer.from(JSON.stringify({ ...facts, images }))
  const header = Buffer.alloc(FACTS_AT)
  MAGIC.copy(header)
  header.writeBigUInt64LE(BigInt(json.length), MAGIC.length)
  writeSync(fd, header, 0, header.length, 0)
  for (let at = 0; at < json.length; ) {
    at += writeSync(fd, json, at, json.length - at, FACTS_AT + at)
  }
  const first = pageAfter(FACTS_AT + json.length)
  ftruncateSync(fd, first + end)
  const addon = requireAddon()
  for (const [i, { buffers, queues }] of sessions.entries()) {
    const problem =
      addon.copyImage(buffers, fd, first + images[i]!.buffers.base, facts.payload) ||
      addon.copyImage(queues, fd, first + images[i]!.queues.base, true)
    if (problem !== '') throw new Error(problem)
  }
}

/**
 * Reads what `writeDump` wrote; of a file that somebody else wrote, or that is damaged, it says
 * where it is wrong.
 *
 * @param memory views of the images even when the process had answered
 * @throws {ShmError} `SHM_ERR_INSPECT`
 */
export function readDump(file: string, memory = false): Inspection {
  let fd: number
  try {
    fd = openSync(file, 'r')
  } catch (error) {
    throw new ShmError('SHM_ERR_INSPECT', `cannot read ${file}: ${(error as Error).message}`)
  }
  try {
    const { facts, first } = readFacts(fd, file)
    const { inspection, images } = facts
    const wanted = memory || inspection.threads.length === 0 ? images : []
    const addon = requireAddon()
    const views = wanted.map((image) => {
      const at = (place: Place): MemoryFile => ({ ...place, fd, base: first + place.base })
      return viewMemory(addon, { ...image, buffers: at(image.buffers), queues: at(image.queues) })
    })
    return { ...inspection, memory: views }
  } finally {
    closeSync(fd)
  }
}

function readFacts(fd: number, file: string): { facts: Facts; first: number } {
  const bad = (byte: number, what: string): never => {
    throw new ShmError('SHM_ERR_INSPECT', `${file}, byte ${byte}: ${what}`)
  }
  const { size } = fstatSync(fd)
  const header = Buffer.alloc(FACTS_AT)
  const got = readSync(fd, header, 0, FACTS_AT, 0)
  const wrong = MAGIC.findIndex((byte, i) => header[i] !== byte)
  if (wrong >= 0) bad(Math.min(wrong, got), "this is not a dump of 'shmesh inspect --dump'")
  if (got < FACTS_AT) bad(got, 'the file ends in its header')
  const length = header.readBigUInt64LE(MAGIC.length)
  if (length > MAX_FACTS_BYTES) bad(MAGIC.length, `${length} bytes of facts are too many`)
  const bytes = Number(length)
  if (FACTS_AT + bytes > size) {
    bad(size, `the file ends in its facts, which end at byte ${FACTS_AT + bytes}`)
  }
  const json = Buffer.alloc(bytes)
  readSync(fd, json, 0, bytes, FACTS_AT)
  let facts: Facts
  try {
    facts = JSON.parse(json.toString()) as Facts
    check(facts, FACTS, 'facts')
    for (const [i, thread] of facts.inspection.threads.entries()) {
      checkThreadReport(thread, `facts.inspection.threads[${i}]`)
    }
  } catch (error) {
    return bad(FACTS_AT, `bad facts: ${(error as Error).message}`)
  }
  const first = pageAfter(FACTS_AT + bytes)
  for (const { name, buffers, queues } of facts.images) {
    for (const { base, bytes: length } of [buffers, queues]) {
      const whole = [base, length].every((each) => Number.isSafeInteger(each) && each >= 0)
      if (!whole) bad(FACTS_AT, `bad facts: the image ${name} lies nowhere`)
      if (first + base + length > size) {
        bad(size, `the file ends before byte ${first + base + length}, where ${name} ends`)
      }
    }
  }
  return { facts, first }
}

function pageAfter(byte: number): number {
  return Math.ceil(byte / PAGE_BYTES) * PAGE_BYTES
}
