/** What a process has cost so far: `/proc` on Linux, `ps` elsewhere. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

export interface ProcessUsage {
  /** User and system time of all threads, ms; both sources count in 10 ms. */
  readonly cpuMs: number
  /** Resident memory, shared pages included. */
  readonly rssBytes: number
}

/** Ticks of /proc/PID/stat per second: USER_HZ, part of Linux's ABI. */
const TICKS_PER_SECOND = 100

/** `undefined` when this system has neither source. */
export function readUsage(pid: number): ProcessUsage | undefined {
  if (process.platform === 'linux') {
    return {
      cpuMs: parseProcStat(readFileSync(`/proc/${pid}/stat`, 'utf8')),
      rssBytes: parseProcStatus(readFileSync(`/proc/${pid}/status`, 'utf8'))
    }
  }
  try {
    return parsePs(
      execFileSync('ps', ['-o', 'time=,rss=', '-p', String(pid)], { encoding: 'utf8' })
    )
  } catch {
    return undefined
  }
}

/** User and system time, ms, from /proc/PID/stat (proc(5): fields 14 and 15). */
export function parseProcStat(text: string): number {
  // The second field is the command's name, which may contain spaces and parentheses.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS_PER_SECOND
}

/** Resident bytes, from /proc/PID/status. A process that is ending has none. */
export function parseProcStatus(text: string): number {
  return Number(/^VmRSS:\s*(\d+) kB$/m.exec(text)?.[1] ?? 0) * 1024
}

/** From `ps -o time=,rss=`: `[[days-]hours:]minutes:seconds[.hundredths]` and KiB. */
export function parsePs(text: string): ProcessUsage | undefined {
  const match = /^\s*(?:(?:(\d+)-)?(\d+):)?(\d+):(\d+(?:\.\d+)?)\s+(\d+)\s*$/.exec(text)
  if (match === null) return undefined
  const [days, hours, minutes, seconds, kilobytes] = match.slice(1).map((part) => Number(part ?? 0))
  const cpuSeconds = ((days! * 24 + hours!) * 60 + minutes!) * 60 + seconds!
  return { cpuMs: cpuSeconds * 1000, rssBytes: kilobytes! * 1024 }
}
