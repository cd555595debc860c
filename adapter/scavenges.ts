import process from 'node:process'
import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** Bytes of new Buffers from one scavenge to the next; V8 itself waits for 32 MiB. */
const BYTES_PER_SCAVENGE = 16 * 1024 * 1024
/** Larger ones are V8's: malloc gives their memory back at once. */
const MAX_BUFFER_BYTES = 8 * 1024 * 1024
/** What a heap smaller than this may grow by before V8 collects all of it. */
const ROOM_BYTES = 96 * 1024 * 1024
/** So many full collections show that the heap lacks that room. */
const MIN_PATIENCE = 4
const MAX_PATIENCE = 16
/** Where one of them comes after fewer scavenges than this, room did not help. */
const SCAVENGES_WITH_ROOM = 16
/** `NODE_PERFORMANCE_GC_MAJOR` of node:perf_hooks, which is not loaded for it. */
const FULL = 4

/** Without options all of the heap. The V8 of Node 20 takes `type: 'major'` for a minor one. */
type Collect = (options?: { type: 'minor' }) => void

let bytesSince = 0
/** A scavenge is due when this turn of the event loop is over. */
let due = false
/** Null: V8 is left alone. */
let collect: Collect | null | undefined
/** Collections since the heap was last given room: full ones, whoever made them, ... */
let fullCollections = 0
/** ... and scavenges, made here. */
let scavenges = MIN_PATIENCE * SCAVENGES_WITH_ROOM
/** Full collections until it is given room again. */
let patience = MIN_PATIENCE

/**
 * Tells that large Buffers of `bytes` are being made, which mostly live for one request.
 *
 * V8 holds the bytes of young Buffers, too, against what the old generation may grow to: with the
 * small heap of a server every 10 to 70 MiB of them are a full collection of 10 to 40 ms, where a
 * scavenge of 1 ms would have freed them all. So one is made here, before that, when the turn's
 * requests are done with theirs; and where full collections come all the same, the heap is given
 * room. `SHMESH_SCAVENGE=0` leaves both to V8; it is read at the first of them.
 */
export function noteBuffers(bytes: number): void {
  if (bytes > MAX_BUFFER_BYTES) return
  bytesSince += bytes
  if (bytesSince < BYTES_PER_SCAVENGE || due) return
  due = true
  setImmediate(collectNow)
}

function collectNow(): void {
  due = false
  bytesSince = 0
  if (collect === undefined) collect = collector()
  if (collect === null) return
  if (fullCollections >= patience) giveRoom(collect)
  else {
    scavenges++
    collect({ type: 'minor' })
  }
}

/**
 * V8 sets the limit of the old generation at the end of a full collection, as a multiple of what is
 * in use. The multiple is ours during this one only: a heap that has grown meanwhile is V8's.
 */
function giveRoom(collectAll: Collect): void {
  const helped = scavenges >= patience * SCAVENGES_WITH_ROOM
  patience = helped ? MIN_PATIENCE : Math.min(2 * patience, MAX_PATIENCE)
  scavenges = 0
  fullCollections = 0
  const { used_heap_size: used } = getHeapStatistics()
  if (used >= ROOM_BYTES) return
  // The one made here is counted as well.
  fullCollections--
  const percent = Math.ceil((100 * ROOM_BYTES) / used)
  withFlag(`--heap-growing-percent=${percent}`, '--heap-growing-percent=0', () => {
    collectAll()
  })
}

function collector(): Collect | null {
  if (process.env['SHMESH_SCAVENGE'] === '0') return null
  try {
    const found = exposed() ?? withFlag('--expose-gc', '--no-expose-gc', exposed)
    if (found !== undefined) countFullCollections()
    return found ?? null
  } catch {
    return null
  }
}

/** Contexts have it that are made while the flag is set. */
function exposed(): Collect | undefined {
  return runInNewContext('globalThis.gc') as Collect | undefined
}

function withFlag<T>(flag: string, otherwise: string, call: () => T): T {
  setFlagsFromString(flag)
  try {
    return call()
  } finally {
    setFlagsFromString(otherwise)
  }
}

interface Collection {
  readonly detail: { readonly kind: number }
}

function countFullCollections(): void {
  const observer = new PerformanceObserver((list) => {
    for (const { detail } of list.getEntries() as unknown as Collection[]) {
      // Those too that a scavenge of ours became, because V8 had begun to mark.
      if (detail.kind === FULL) fullCollections++
    }
  })
  observer.observe({ entryTypes: ['gc'] })
}
