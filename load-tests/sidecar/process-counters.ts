/** What a process has used so far, from Linux's /proc; see proc(5). */
import { readdirSync, readFileSync } from 'node:fs'

/** All threads together. */
export interface ProcessCounters {
  /** CPU time outside and inside the kernel, µs; Linux tells multiples of 10 ms. */
  readonly userMicroseconds: number
  readonly systemMicroseconds: number
  /** It had nothing to do, slept, and was woken. */
  readonly voluntarySwitches: number
  /** It had, and another process was given the processor. */
  readonly involuntarySwitches: number
  /** By read(2), write(2) and their vectors, sockets included; recv(2) and send(2) do not count. */
  readonly transferredBytes: number
  readonly rssBytes: number
  /** Of that, memory shared with other processes. */
  readonly sharedBytes: number
}

const MICROSECONDS_PER_TICK = 10_000

export function readCounters(pid: number): ProcessCounters {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // The second field is the command's name, which may contain spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const io = readFileSync(`/proc/${pid}/io`, 'utf8')
  let voluntarySwitches = 0
  let involuntarySwitches = 0
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const text = readThread(pid, thread)
    voluntarySwitches += numberAfter(text, 'voluntary_ctxt_switches')
    involuntarySwitches += numberAfter(text, 'nonvoluntary_ctxt_switches')
  }
  return {
    userMicroseconds: Number(fields[11]) * MICROSECONDS_PER_TICK,
    systemMicroseconds: Number(fields[12]) * MICROSECONDS_PER_TICK,
    voluntarySwitches,
    involuntarySwitches,
    transferredBytes: numberAfter(io, 'rchar') + numberAfter(io, 'wchar'),
    rssBytes: numberAfter(status, 'VmRSS') * 1024,
    sharedBytes: numberAfter(status, 'RssShmem') * 1024
  }
}

/** Empty for a thread that has ended meanwhile. */
function readThread(pid: number, thread: string): string {
  try {
    return readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8')
  } catch {
    return ''
  }
}

/** Of the line `name: number`; 0 without one. */
function numberAfter(text: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s*(\\d+)`, 'm').exec(text)?.[1] ?? 0)
}
