/**
 * What `shmesh inspect` is told by the process it asks: one JSON document about every session of
 * this thread, over the socket any listener of it was asked on.
 */
import { Socket } from 'node:net'
import process from 'node:process'
import { threadId } from 'node:worker_threads'
import type { ShmSession } from './session.ts'
import type { SessionReport } from './session-statistics.ts'

/** Of an inspector that does not read on, in ms. */
const READ_TIMEOUT_MS = 5000

/** A thread's answer to `shmesh inspect`. */
export interface ThreadReport {
  /** Of this document; the reader refuses others. */
  readonly format: 1
  readonly pid: number
  /** 0 is the main thread. */
  readonly thread: number
  /** Node.js, such as `v20.19.0`. */
  readonly node: string
  readonly uptimeMs: number
  readonly sessions: readonly SessionReport[]
}

/** Sessions of this thread whose memory is mapped, in the order they were made. */
const sessions = new Set<ShmSession>()

/** @internal */
export function registerSession(session: ShmSession): void {
  sessions.add(session)
}

/** @internal Its memory is gone. */
export function forgetSession(session: ShmSession): void {
  sessions.delete(session)
}

/** What this thread would answer now. */
export function reportThread(): ThreadReport {
  return {
    format: 1,
    pid: process.pid,
    thread: threadId,
    node: process.version,
    uptimeMs: Math.round(process.uptime() * 1000),
    sessions: [...sessions].map((session) => session.report())
  }
}

/** @internal Tells who asked on `fd`, which is closed. */
export function answerInspector(fd: number): void {
  const socket = new Socket({ fd, readable: true, writable: true })
  socket.unref()
  socket.on('error', () => undefined)
  socket.setTimeout(READ_TIMEOUT_MS, () => socket.destroy())
  socket.resume()
  socket.end(`${JSON.stringify(reportThread())}\n`, () => socket.destroy())
}
