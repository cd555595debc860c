import type { Workspace } from '../demo/workspace.ts'
import { availableChains, programFile, type RunningChain, startChain } from '../sidecar/chains.ts'
import { CHAINS } from '../sidecar/plan.ts'
import { readCounters } from '../sidecar/process-counters.ts'
import { driveWithWrk } from '../sidecar/wrk.ts'
import { median } from '../transport/statistics.ts'
import { digits, type Finding } from './finding.ts'

const OURS = 'shmesh-shm'
const PROGRAMS = ['nginx', 'haproxy'] as const
const WARM_UP_MS = 5000

/** CPU of the proxy alone per small GET, beside other proxies that take turns with it. */
export async function checkSmallGets(workspace: Workspace, rounds: number): Promise<Finding[]> {
  if (programFile('wrk') === undefined) return []
  const wanted = new Set(availableChains(true))
  const names = CHAINS.filter((chain) => wanted.has(chain) && isCompared(chain))
  const chains = await Promise.all(names.map((chain) => startChain(workspace, chain)))
  const costs = new Map<string, number[]>(names.map((name) => [name, []]))
  for (const chain of chains) await drive(chain, WARM_UP_MS)
  for (let round = 0; round < rounds; round++) {
    for (const chain of round % 2 === 0 ? chains : chains.toReversed()) {
      costs.get(chain.chain)!.push(await drive(chain, 1000))
    }
  }
  const ours = costs.get(OURS)!
  return PROGRAMS.flatMap((program) => {
    const peers = names.filter((name) => name.startsWith(program))
    if (peers.length === 0) return []
    const best = peers.reduce((a, b) => (middle(costs, a) <= middle(costs, b) ? a : b))
    const theirs = costs.get(best)!
    return {
      what: `CPU per small GET, times that of ${best}`,
      value: median(ours.map((cost, i) => cost / theirs[i]!)),
      unit: '',
      target: 1,
      note: `${digits(median(ours))} and ${digits(median(theirs))} µs of the proxy alone`
    }
  })
}

function isCompared(chain: string): boolean {
  return chain === OURS || PROGRAMS.some((program) => chain.startsWith(program))
}

function middle(costs: ReadonlyMap<string, readonly number[]>, name: string): number {
  return median(costs.get(name)!)
}

/** Microseconds of the proxy per request. */
async function drive({ origin, proxy }: RunningChain, durationMs: number): Promise<number> {
  const before = readCounters(proxy!.pid)
  const load = { origin, method: 'GET', bytes: 64, connections: 16, durationMs } as const
  const { completed, errors } = await driveWithWrk({ ...load, prefix: '/buffer' })
  if (errors > 0) throw new Error(`${errors} of ${completed} requests failed`)
  const after = readCounters(proxy!.pid)
  const microseconds = (counters: typeof after) =>
    counters.userMicroseconds + counters.systemMicroseconds
  return (microseconds(after) - microseconds(before)) / completed
}
