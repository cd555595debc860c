import { readFileSync } from 'node:fs'
import type { NativeSession } from '../../native/index.ts'
import { ShmError } from '../errors.ts'

/** How often sessions are looked at, in ms. */
const LOOK_MS = 1000
/** A peer that is stopped and has taken nothing for so many looks is given up. */
const STOPPED_LOOKS = 3
/** So is one that runs, or of which nothing is known: it may be busy with something long. */
const SILENT_LOOKS = 30

/** A session as far as its peer's signs of life go. */
interface Watched {
  readonly path: string
  /** The peer's process; 0 when it is not in our pid namespace. */
  readonly peerPid: number
  readonly native: NativeSession
  destroy(error: Error): void
}

interface Sight {
  /** Events the peer has taken so far. */
  taken: number
  /** Looks in a row that found events waiting and none taken. */
  idleLooks: number
}

const sights = new Map<Watched, Sight>()
let timer: NodeJS.Timeout | undefined

/** Gives `session` up when its peer leaves its work untouched; see docs/internals/liveness.md. */
export function watch(session: Watched): void {
  sights.set(session, { taken: 0, idleLooks: 0 })
  timer ??= setInterval(look, LOOK_MS).unref()
}

export function unwatch(session: Watched): void {
  sights.delete(session)
  if (sights.size > 0) return
  clearInterval(timer)
  timer = undefined
}

// Counted in looks, not in time: while this process was stopped itself nobody looked.
function look(): void {
  for (const [session, sight] of [...sights]) {
    const statistics = session.native.statistics()
    if (statistics === undefined) continue
    const { sendBacklog, eventsSent } = statistics
    const taken = eventsSent - sendBacklog
    sight.idleLooks = sendBacklog > 0 && taken === sight.taken ? sight.idleLooks + 1 : 0
    sight.taken = taken
    if (sight.idleLooks < STOPPED_LOOKS) continue
    const stopped = isStopped(session.peerPid)
    if (!stopped && sight.idleLooks < SILENT_LOOKS) continue
    session.destroy(silence(session, sight.idleLooks, stopped))
  }
}

function silence({ path, peerPid }: Watched, idleLooks: number, stopped: boolean): ShmError {
  const who = peerPid === 0 ? 'the peer' : `the peer (pid ${peerPid})`
  const seconds = Math.round((idleLooks * LOOK_MS) / 1000)
  const state = stopped ? ' and is stopped' : ''
  return new ShmError(
    'SHM_ERR_TIMEOUT',
    `${who} of the session on ${path} is silent: it has taken nothing for ${seconds} s${state}`
  )
}

/** By a signal or a debugger, or dead and not yet gone (proc(5), stat, field 3). */
function isStopped(pid: number): boolean {
  if (pid === 0) return false
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return 'TtZX'.includes(stat.charAt(stat.lastIndexOf(')') + 2))
  } catch {
    return false
  }
}
