import process from 'node:process'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** Bytes of new Buffers from one scavenge to the next; V8 itself waits for 32 MiB. */
const BYTES_PER_SCAVENGE = 16 * 1024 * 1024

type Collect = (options: { type: 'minor' }) => void

let bytesSince = 0
/** Null: V8 is left alone. */
let collect: Collect | null | undefined

/**
 * Tells that large Buffers of `bytes` are being made, which mostly live for one request.
 *
 * V8 holds the bytes of young Buffers, too, against what the old generation may grow to: with the
 * small heap of a server every 40 to 70 MiB of them are a full collection of 10 to 40 ms, where a
 * scavenge of 1 ms would have freed them all. So one is made here, before that.
 * `SHMESH_SCAVENGE=0` leaves it to V8; it is read at the first of them.
 */
export function noteBuffers(bytes: number): void {
  bytesSince += bytes
  if (bytesSince < BYTES_PER_SCAVENGE) return
  bytesSince = 0
  if (collect === undefined) collect = collector()
  collect?.({ type: 'minor' })
}

function collector(): Collect | null {
  if (process.env['SHMESH_SCAVENGE'] === '0') return null
  try {
    return exposed() ?? withFlag('--expose-gc', exposed) ?? null
  } catch {
    return null
  }
}

/** Contexts have it that are made while the flag is set. */
function exposed(): Collect | undefined {
  return runInNewContext('globalThis.gc') as Collect | undefined
}

function withFlag<T>(flag: string, call: () => T): T {
  setFlagsFromString(flag)
  try {
    return call()
  } finally {
    setFlagsFromString(flag.replace('--', '--no-'))
  }
}
