import process from 'node:process'
import type { NativeHolder } from '../../native/index.ts'
import { publishSliceLeak } from '../diagnostics.ts'
import { InvalidArgumentError } from '../errors.ts'
import { warnOnce } from '../log.ts'
import { parseDuration } from '../options.ts'

/** `lease`: a view a consumer reads; `buffer`: allocated and not written; `lent`: the peer's turn. */
export type HoldingKind = 'lease' | 'buffer' | 'lent'

/** Shared memory somebody has and is to give back. */
export interface Holding {
  readonly kind: HoldingKind
  /** 0 when it belongs to no stream yet. */
  readonly streamId: number
  readonly bytes: number
  /** @internal When it was taken, as `performance.now()`; the watch writes it. */
  since: number
  /** @internal Who took it, with SHMESH_TRACE_LEASES=1. */
  stack: string | undefined
}

/** What has been held longer than the grace time. */
export interface LeakSuspect {
  readonly kind: HoldingKind
  readonly streamId: number
  readonly bytes: number
  readonly ageMs: number
  readonly stack?: string | undefined
}

const DEFAULT_GRACE = '60s'
/** Slices that are looked at one by one, the oldest ones. */
export const MAX_HOLDERS = 4096

/**
 * The `leakWarning` option to milliseconds, 0 for `false`.
 *
 * @throws {InvalidArgumentError}
 */
export function parseLeakWarning(option: string, value: string | false | undefined): number {
  if (value === false) return 0
  const graceMs = parseDuration(option, value ?? DEFAULT_GRACE)
  if (graceMs === 0) throw new InvalidArgumentError(option, 'more than 0, or false', value)
  return graceMs
}

/**
 * Looks after what a session has handed out. What is held longer than the grace time is a leak, or
 * a consumer that stalls: one warning per process, and `shmesh:slice:leak` for each.
 *
 * A timer runs only while something is out, and keeps no process alive.
 */
export class LeakWatch {
  readonly #path: string
  readonly #graceMs: number
  readonly #lentToGone: () => readonly LeakSuspect[]
  readonly #trace = process.env['SHMESH_TRACE_LEASES'] === '1'
  /** In the order they were taken. */
  readonly #out = new Set<Holding>()
  readonly #told = new WeakSet<Holding>()
  /** Gone streams whose slices the peer was reported for. */
  #toldStreams = new Set<number>()
  /** A stream has ended before the peer had acknowledged all of it. */
  #streamsEnded = false
  #timer: NodeJS.Timeout | undefined

  /**
   * @param graceMs 0 to watch nothing
   * @param lentToGone what the peer has of streams that are gone here, a line per stream
   */
  constructor(path: string, graceMs: number, lentToGone: () => readonly LeakSuspect[]) {
    this.#path = path
    this.#graceMs = graceMs
    this.#lentToGone = lentToGone
  }

  take(holding: Holding): void {
    if (this.#graceMs === 0) return
    holding.since = performance.now()
    if (this.#trace) holding.stack = new Error('taken').stack
    this.#out.add(holding)
    this.#arm(this.#graceMs)
  }

  drop(holding: Holding): void {
    this.#out.delete(holding)
  }

  /** The peer may have slices of a stream that is gone. */
  streamEnded(): void {
    if (this.#graceMs === 0) return
    this.#streamsEnded = true
    this.#arm(this.#graceMs)
  }

  /** What has been out for too long now. */
  suspects(): LeakSuspect[] {
    if (this.#graceMs === 0) return []
    const now = performance.now()
    const held = [...this.#out].map((holding) => toSuspect(holding, now))
    return [...held, ...this.#lentToGone()].filter(({ ageMs }) => ageMs >= this.#graceMs)
  }

  /** The session is over: the peer owes nothing any more, consumers of views still do. */
  end(): void {
    this.#streamsEnded = false
    if (this.#out.size === 0) clearTimeout(this.#timer)
  }

  #arm(delayMs: number): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      this.#look()
    }, delayMs).unref()
  }

  #look(): void {
    const now = performance.now()
    let next = Number.POSITIVE_INFINITY
    for (const holding of this.#out) {
      const left = holding.since + this.#graceMs - now
      if (left > 0) {
        next = left
        break
      }
      if (this.#told.has(holding)) continue
      this.#told.add(holding)
      this.#tell(toSuspect(holding, now))
    }
    if (this.#streamsEnded && this.#lookAtPeer()) next = Math.min(next, this.#graceMs)
    if (next !== Number.POSITIVE_INFINITY) this.#arm(Math.ceil(next))
  }

  /** Returns whether it has anything that was not reported. */
  #lookAtPeer(): boolean {
    const lent = this.#lentToGone()
    const told = new Set<number>()
    for (const suspect of lent) {
      if (suspect.ageMs < this.#graceMs) continue
      if (!this.#toldStreams.has(suspect.streamId)) this.#tell(suspect)
      told.add(suspect.streamId)
    }
    this.#toldStreams = told
    this.#streamsEnded = lent.length > told.size
    return this.#streamsEnded
  }

  #tell(suspect: LeakSuspect): void {
    publishSliceLeak({ path: this.#path, ...suspect })
    warnOnce('SHMESH_SLICE_LEAK', `${describe(this.#path, suspect)}${advice(suspect)}`)
  }
}

/** What the peer has of streams that are not `open` here, a line for each stream. */
export function findLentToGone(
  holders: readonly NativeHolder[],
  open: (stream: number) => boolean
): LeakSuspect[] {
  const lent = new Map<number, LeakSuspect>()
  for (const { state, stream, payload, ageMs } of holders) {
    // What is lent to several streams at once carries the name of one of them: it is left out.
    if (state !== 'lent' || open(stream)) continue
    const known = lent.get(stream)
    const bytes = payload + (known?.bytes ?? 0)
    lent.set(stream, { kind: 'lent', streamId: stream, bytes, ageMs: known?.ageMs ?? ageMs })
  }
  return [...lent.values()]
}

function toSuspect({ kind, streamId, bytes, since, stack }: Holding, now: number): LeakSuspect {
  const suspect = { kind, streamId, bytes, ageMs: Math.round(now - since) }
  return stack === undefined ? suspect : { ...suspect, stack }
}

const WHAT = {
  lease: 'a consumer has not released',
  buffer: 'a Buffer of alloc() was neither written nor dropped:',
  lent: 'the peer has not returned'
} as const

function describe(path: string, { kind, streamId, bytes, ageMs }: LeakSuspect): string {
  const whose =
    streamId === 0 ? '' : ` of stream ${streamId}${kind === 'lent' ? ', which is gone' : ''}`
  const age = `for ${Math.round(ageMs / 1000)} s`
  return `shared memory of ${path}: ${WHAT[kind]} ${bytes} bytes${whose}, ${age}. Further ones are told only to diagnostics_channel 'shmesh:slice:leak'. `
}

function advice({ kind, stack }: LeakSuspect): string {
  if (stack !== undefined) return stack
  return kind === 'lent'
    ? 'See `shmesh inspect` of the peer.'
    : 'SHMESH_TRACE_LEASES=1 shows who took it.'
}
