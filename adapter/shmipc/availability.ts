import process from 'node:process'
import { type Addon, loadAddon } from '../../native/index.ts'
import { warnOnce } from '../log.ts'

/** Why shared memory cannot be had in this process, or the addon when it can. */
export type Availability =
  | { readonly addon: Addon; readonly reason?: undefined }
  | { readonly addon?: undefined; readonly reason: string }

/** Only success is remembered: a process may be short of descriptors for a moment. */
let known: Availability | undefined

/**
 * Whether this process can use shared memory. Everything works without: listeners then serve, and
 * links dial, plain HTTP on the same socket path.
 *
 * `SHMESH_DISABLE=1` switches shared memory off. It is read at each call.
 */
export function sharedMemory(): Availability {
  if (process.env.SHMESH_DISABLE === '1') return { reason: 'SHMESH_DISABLE=1 is set' }
  if (known !== undefined) return known
  const found = probe()
  if (found.addon !== undefined) known = found
  return found
}

/** {@link sharedMemory}, with one warning per process when there is none. */
export function sharedMemoryOrWarn(): Availability {
  const availability = sharedMemory()
  if (availability.addon === undefined) warnOfSockets(availability.reason)
  return availability
}

/** Once per process. */
export function warnOfSockets(reason: string): void {
  warnOnce(
    'SHMESH_NO_SHARED_MEMORY',
    `shared memory is not used: ${reason}. HTTP goes over ordinary sockets on the same paths.`
  )
}

function probe(): Availability {
  if (process.platform !== 'linux') {
    return { reason: `${process.platform} has no memfd; shared memory needs Linux` }
  }
  let addon: Addon
  try {
    addon = loadAddon()
  } catch (error) {
    return { reason: (error as Error).message }
  }
  const reason = addon.probe()
  return reason === '' ? { addon } : { reason: `the kernel refuses sealed memory: ${reason}` }
}
