/** wrk, which takes a fraction of autocannon's CPU: for where autocannon itself is the limit. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Load } from '../demo/driver.ts'
import { programFile } from './chains.ts'

export interface DriveResult {
  readonly completed: number
  readonly elapsedMs: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly p999Ms: number
  readonly errors: number
}

const SCRIPT = fileURLToPath(new URL('../../../load-tests/sidecar/report.lua', import.meta.url))

/** It knows whole seconds only: the next longer one. */
export async function driveWithWrk(load: Load): Promise<DriveResult> {
  const { origin, method, bytes, connections, durationMs, prefix = '' } = load
  const seconds = Math.ceil(durationMs / 1000)
  const url = `${origin}${prefix}/${bytes}/0`
  const { stdout } = await promisify(execFile)(
    programFile('wrk')!,
    ['-t1', `-c${connections}`, `-d${seconds}s`, '--timeout', '20s', '-s', SCRIPT, url],
    { env: method === 'POST' ? { SHMESH_BODY: String(bytes) } : {} }
  )
  const line = stdout.split('\n').find((text) => text.startsWith('{'))
  if (line === undefined) throw new Error(`wrk wrote no result:\n${stdout}`)
  const { refused, lost, ...rest } = JSON.parse(line)
  return { ...rest, errors: refused + lost }
}
