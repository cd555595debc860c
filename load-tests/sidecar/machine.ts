import { spawnSync } from 'node:child_process'
import { cpus, loadavg, totalmem } from 'node:os'
import { describeMachine } from '../transport/report.ts'
import { programFile } from './chains.ts'

/** What the figures depend on, in one line. */
export function machineFacts(): string {
  const versions = [
    versionOf('nginx', ['-v']),
    versionOf('haproxy', ['-v']),
    versionOf('wrk', ['-v'])
  ].filter((version) => version !== undefined)
  const memory = `${Math.round(totalmem() / 1024 ** 3)} GiB`
  const load = `load average ${loadavg()[0]!.toFixed(1)} of ${cpus().length} at the start`
  return [describeMachine(), memory, ...versions, load].join(', ')
}

function versionOf(program: string, args: readonly string[]): string | undefined {
  const file = programFile(program)
  if (file === undefined) return undefined
  const { stdout, stderr } = spawnSync(file, args, { encoding: 'utf8' })
  const version = /\d+\.\d+(\.\d+)?/.exec(`${stdout}${stderr}`)
  return `${program} ${version?.[0] ?? ''}`.trimEnd()
}
