/** What a process holds that a leak would show in, by name and number. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import process from 'node:process'

export type Counts = Readonly<Record<string, number>>

/** Open descriptors by kind, and mapped shared memory; of this process or of a child. */
export function heldBy(pid: number | 'self' = 'self'): Counts {
  const kinds: string[] = []
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    try {
      kinds.push(readlinkSync(`/proc/${pid}/fd/${fd}`).replace(/:\[\d+\]$/, ''))
    } catch {
      // The directory that was being listed.
    }
  }
  const mapped = readFileSync(`/proc/${pid}/maps`, 'latin1').match(/memfd:/g) ?? []
  return count([...kinds, ...mapped.map(() => 'mapped memory')])
}

/** CPU time a process has used so far, in clock ticks (of a hundredth of a second). */
export function cpuTicks(pid: number): number {
  const fields = statFields(`/proc/${pid}/stat`)
  return Number(fields[11]) + Number(fields[12])
}

/** One letter per thread: `T` is stopped. */
export function threadStates(pid: number): string[] {
  return readdirSync(`/proc/${pid}/task`).map(
    (id) => statFields(`/proc/${pid}/task/${id}/stat`)[0]!
  )
}

/** From the third field on: the second, the name, may contain anything. */
function statFields(path: string): string[] {
  return readFileSync(path, 'latin1').split(') ').pop()!.split(' ')
}

/** Timers, sockets, processes and pipes this process waits for. */
export function waitedFor(): Counts {
  return count(process.getActiveResourcesInfo())
}

/** What `now` has more of than `before`: empty when nothing leaked. */
export function surplus(before: Counts, now: Counts): string[] {
  return Object.entries(now)
    .filter(([name, number]) => number > (before[name] ?? 0))
    .map(([name, number]) => `${number} ${name}, at the start ${before[name] ?? 0}`)
}

function count(names: readonly string[]): Counts {
  const counts: Record<string, number> = {}
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1
  return counts
}
