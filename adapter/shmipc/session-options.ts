import { availableParallelism } from 'node:os'
import { getSystemErrorName } from 'node:util'
import type { Addon } from '../../native/index.ts'
import { InvalidArgumentError, ShmError } from '../errors.ts'
import { checkBoolean, parseDuration, parseWindow } from '../options.ts'
import { parseLeakWarning } from './leak-watch.ts'

/** Below, a process that spins takes the time from the one it waits for. */
const MIN_CPUS_TO_POLL = 3

/** What `connect` and `listen` have in common: this end's part of a session. */
export interface SessionOptions {
  /**
   * What the peer may send on one stream before this end has read it, with its unit; a message
   * that begins within it may exceed it by 256 KiB. It bounds what a slow reader holds, besides
   * the message its own buffer has taken, of 1028 KiB at most.
   *
   * @defaultValue '1MiB'
   */
  readonly window?: string | undefined
  /**
   * How this end learns that something has arrived. `event`: the peer wakes it, when it sleeps;
   * while messages follow each other within 8 µs it stays awake, which is cheaper. `poll`: before it sleeps it looks for up to 50 µs, less when that was in vain: the shortest
   * answers, for a processor of its own; refused with fewer than 3 of them. A duration such as
   * `5ms`: it looks that often, and the peer never pays for a wake-up: for logs and metrics.
   *
   * @defaultValue 'event'
   */
  readonly wakeUp?: 'event' | 'poll' | (string & {}) | undefined
  /**
   * `poll` although there are fewer than 3 processors.
   *
   * @defaultValue false
   */
  readonly pollAnyway?: boolean | undefined
  /**
   * Processors, by number, that every thread of this process shall run on from here on: two ends
   * on neighbouring cores share a cache.
   *
   * @defaultValue as they are
   */
  readonly cpus?: readonly number[] | undefined
  /**
   * How long shared memory may be held, by consumers here or by the peer for a stream that is gone,
   * before it is reported as a leak: by a warning once, by `shmesh:slice:leak` each time. With its
   * unit; `false` for never. `SHMESH_TRACE_LEASES=1` in the environment adds who took it.
   *
   * @defaultValue '60s'
   */
  readonly leakWarning?: string | false | undefined
}

export const SESSION_OPTIONS: readonly (keyof SessionOptions)[] = [
  'window',
  'wakeUp',
  'pollAnyway',
  'cpus',
  'leakWarning'
]

/** What can be said of the sessions behind an HTTP server, client or proxy. */
export type SessionTuning = Pick<SessionOptions, 'wakeUp' | 'cpus' | 'leakWarning'>

export const SESSION_TUNING: readonly (keyof SessionTuning)[] = ['wakeUp', 'cpus', 'leakWarning']

/**
 * Those of `options` that are given, checked.
 *
 * @throws {InvalidArgumentError}
 */
export function pickSessionTuning(options: SessionTuning): SessionTuning {
  resolveSessionOptions(options)
  const given = SESSION_TUNING.filter((name) => options[name] !== undefined)
  return Object.fromEntries(given.map((name) => [name, options[name]]))
}

export interface ResolvedSessionOptions {
  /** Bytes the peer may send on a stream before we give credit. */
  readonly window: number
  readonly wakeUp: 'event' | 'poll' | 'interval'
  /** With `interval`. */
  readonly intervalMs: number
  /** 0 for never. */
  readonly leakWarningMs: number
}

/** @throws {InvalidArgumentError} */
export function resolveSessionOptions(options: SessionOptions): ResolvedSessionOptions {
  const { wakeUp = 'event', pollAnyway = false, cpus } = options
  if (cpus !== undefined) checkCpus(cpus)
  checkBoolean('pollAnyway', pollAnyway)
  const common = {
    window: parseWindow('window', options.window),
    leakWarningMs: parseLeakWarning('leakWarning', options.leakWarning)
  }
  if (wakeUp === 'event') return { ...common, wakeUp: 'event', intervalMs: 0 }
  if (wakeUp !== 'poll') {
    const intervalMs = parseDuration('wakeUp', wakeUp)
    if (intervalMs < 1) throw new InvalidArgumentError('wakeUp', "at least '1ms'", wakeUp)
    return { ...common, wakeUp: 'interval', intervalMs }
  }
  const processors = availableParallelism()
  if (processors < MIN_CPUS_TO_POLL && !pollAnyway) {
    const least = `${MIN_CPUS_TO_POLL} processors, or with pollAnyway: true`
    throw new InvalidArgumentError('wakeUp', `'poll' only with ${least}`, `${processors} of them`)
  }
  return { ...common, wakeUp: 'poll', intervalMs: 0 }
}

/** @throws {ShmError} `SHM_ERR_UNAVAILABLE` when the system does not allow it */
export function pinTo(addon: Addon, cpus: readonly number[] | undefined): void {
  if (cpus === undefined) return
  const errno = addon.pin(cpus)
  if (errno === 0) return
  const reason = `errno ${-errno}; processors this process may use are in /proc/self/status`
  throw new ShmError(
    'SHM_ERR_UNAVAILABLE',
    `cannot run on processors ${cpus.join(', ')}: ${reason}`
  )
}

/** @internal The event loop refused the descriptor that tells of the peer's messages. */
export function cannotWait(path: string, errno: number): ShmError {
  const message = `cannot wait for the peer on ${path}: ${getSystemErrorName(errno)}`
  return new ShmError('SHM_ERR_UNAVAILABLE', message)
}

function checkCpus(cpus: readonly number[]): void {
  const valid = Array.isArray(cpus) && cpus.length > 0
  if (valid && cpus.every((cpu) => Number.isInteger(cpu) && cpu >= 0 && cpu < 1024)) return
  throw new InvalidArgumentError('cpus', 'numbers of processors, from 0 on', cpus)
}
