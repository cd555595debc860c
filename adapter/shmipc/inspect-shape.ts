/**
 * Checks JSON that another process, or a file, claims to be a report. What is checked can be
 * printed; what is not mentioned is passed on as it is.
 */
import { ShmError } from '../errors.ts'

/** `'number?'` may be absent; `[shape]` is an array of such. */
export type Shape =
  | 'number'
  | 'string'
  | 'boolean'
  | 'number?'
  | 'string?'
  | 'number or null'
  | 'string or null'
  | readonly [Shape]
  | { readonly [key: string]: Shape }

/** Nobody has so many sessions, lists or streams. */
const MAX_ENTRIES = 1_000_000

const COUNT = 'number'

const LIST: Shape = {
  role: 'string',
  payload: COUNT,
  capacity: COUNT,
  touched: COUNT,
  allocated: COUNT,
  freed: COUNT,
  held: COUNT,
  lent: COUNT,
  borrowed: COUNT,
  oldestHeldMs: 'number?',
  oldestHeldStream: 'number?',
  oldestLentMs: 'number?',
  oldestLentStream: 'number?',
  oldestBorrowedMs: 'number?',
  oldestBorrowedStream: 'number?'
}

const STREAM: Shape = {
  id: COUNT,
  state: 'string',
  transport: 'string',
  bytesRead: COUNT,
  bytesWritten: COUNT,
  fallbackBytes: COUNT,
  waitingToRead: COUNT,
  waitingToWrite: COUNT,
  credit: 'number or null',
  unacknowledged: COUNT,
  slicesReceived: COUNT,
  slicesHeld: COUNT,
  slicesSent: COUNT
}

const SUSPECT: Shape = {
  kind: 'string',
  streamId: COUNT,
  bytes: COUNT,
  ageMs: COUNT,
  stack: 'string?'
}

const SESSION: Shape = {
  path: 'string',
  role: 'string',
  peer: 'string',
  peerPid: COUNT,
  closed: 'boolean',
  ageMs: COUNT,
  slicesInUse: COUNT,
  fallbackMessages: COUNT,
  fallbackBytes: COUNT,
  fallbacks: { noSlices: COUNT, ringFull: COUNT },
  leases: COUNT,
  keptBytes: COUNT,
  perStream: [STREAM],
  suspects: [SUSPECT]
}

/** What the native core adds while the session lives. */
const LIVE_SESSION: Shape = {
  lists: [LIST],
  budget: COUNT,
  bytesInUse: COUNT,
  bytesBorrowed: COUNT,
  lentOut: COUNT,
  mappedBytes: COUNT,
  residentBytes: COUNT,
  sendBacklog: COUNT,
  receiveBacklog: COUNT,
  queueCapacity: COUNT,
  awake: 'boolean',
  peerAwake: 'boolean',
  wakesSent: COUNT,
  wakesSuppressed: COUNT,
  wakesReceived: COUNT,
  spinHits: COUNT,
  spinMisses: COUNT,
  eventsSent: COUNT,
  eventsReceived: COUNT
}

const THREAD: Shape = {
  format: COUNT,
  pid: COUNT,
  thread: COUNT,
  node: 'string',
  uptimeMs: COUNT,
  sessions: [SESSION]
}

/** A process's answer. @throws {ShmError} `SHM_ERR_INSPECT`, naming the first thing that is wrong */
export function checkThreadReport(value: unknown, name = 'answer'): void {
  check(value, THREAD, name)
  const { format, sessions } = value as { format: number; sessions: readonly object[] }
  if (format !== 1) {
    throw new ShmError(
      'SHM_ERR_INSPECT',
      `${name}.format is ${format}, this shmesh reads 1: inspect with the version that runs there`
    )
  }
  for (const [i, session] of sessions.entries()) {
    if ('lists' in session) check(session, LIVE_SESSION, `${name}.sessions[${i}]`)
  }
}

/** @throws {ShmError} `SHM_ERR_INSPECT` */
export function check(value: unknown, shape: Shape, name: string): void {
  if (typeof shape === 'string') {
    checkScalar(value, shape, name)
    return
  }
  if (typeof value !== 'object' || value === null) fail(name, 'an object', value)
  if (isList(shape)) {
    if (!Array.isArray(value) || value.length > MAX_ENTRIES) fail(name, 'an array', value)
    for (const [i, entry] of value.entries()) check(entry, shape[0], `${name}[${i}]`)
    return
  }
  for (const [key, inner] of Object.entries(shape)) {
    check((value as Record<string, unknown>)[key], inner, `${name}.${key}`)
  }
}

function isList(shape: Shape): shape is readonly [Shape] {
  return Array.isArray(shape)
}

function checkScalar(value: unknown, shape: string, name: string): void {
  if (value === undefined && shape.endsWith('?')) return
  if (value === null && shape.endsWith(' or null')) return
  const type = /^\w+/.exec(shape)![0]
  if (typeof value !== type || (type === 'number' && !Number.isFinite(value))) {
    fail(name, `a ${type}`, value)
  }
}

function fail(name: string, expected: string, value: unknown): never {
  const got = value === null ? 'null' : Array.isArray(value) ? 'an array' : typeof value
  throw new ShmError('SHM_ERR_INSPECT', `${name} should be ${expected}, and is ${got}`)
}
