import { type Cell, CHAIN_TITLES, type Chain, cellTitle, type Plan } from './cells.ts'
import type { Child } from './child.ts'
import type { ProcessUsage } from './cpu.ts'
import type { Load, LoadResult } from './driver.ts'
import type { Progress } from './progress.ts'
import type { App, RunningProxy } from './servers.ts'

/** A way to the app, with processes of its own. */
export interface Route {
  readonly chain: Chain
  readonly app: App
  readonly proxy: RunningProxy | undefined
  /** Where the driver sends its requests. */
  readonly origin: string
}

/** One cell over one chain, all rounds together. Undefined: this system cannot tell. */
export interface Measurement {
  readonly cell: Cell
  readonly chain: Chain
  readonly requests: number
  readonly elapsedMs: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly proxyCpuMs: number | undefined
  readonly appCpuMs: number | undefined
  readonly proxyRssBytes: number | undefined
  readonly appRssBytes: number | undefined
  /** Requests the proxy labelled so. */
  readonly transports: Readonly<Record<string, number>>
  readonly errors: number
}

interface Round {
  readonly load: LoadResult
  readonly proxyBefore: Sample
  readonly proxyAfter: Sample
  readonly appBefore: ProcessUsage | undefined
  readonly appAfter: ProcessUsage | undefined
}

interface Sample {
  readonly usage: ProcessUsage | undefined
  readonly transports: Readonly<Record<string, number>>
}

const NOTHING: Sample = { usage: undefined, transports: {} }

/** Runs the driver once. `onProgress` gets the number of requests completed so far. */
export async function drive(
  driver: Child,
  load: Load,
  onProgress: (completed: number) => void
): Promise<LoadResult> {
  const result = driver.receive((message) => {
    const { completed, result } = message as { completed?: number; result?: LoadResult }
    if (completed !== undefined) onProgress(completed)
    return result
  })
  driver.send(load)
  return result
}

/**
 * Measures every cell over every route. Within a cell the routes take turns, so that what changes
 * on this machine meanwhile changes for all of them.
 */
export async function measureAll(
  plan: Plan,
  routes: readonly Route[],
  driver: Child,
  progress: Progress
): Promise<Measurement[]> {
  const measurements: Measurement[] = []
  for (const [index, cell] of plan.cells.entries()) {
    const rounds = new Map<Route, Round[]>(routes.map((route) => [route, []]))
    for (let round = 0; round <= plan.rounds; round++) {
      for (const route of routes) {
        const title = `${index + 1}/${plan.cells.length} ${cellTitle(cell)}  ${CHAIN_TITLES[route.chain]}`
        const load = {
          ...cell,
          origin: route.origin,
          connections: plan.connections,
          durationMs: round === 0 ? plan.warmUpMs : plan.roundMs
        }
        if (round === 0) {
          progress.update(`${title}  warming up`)
          await drive(driver, load, () => undefined)
          continue
        }
        const measured = await measureRound(route, load, driver, (completed) =>
          progress.update(`${title}  round ${round}/${plan.rounds}  ${completed} requests`)
        )
        rounds.get(route)!.push(measured)
        const perSecond = Math.round((measured.load.completed / measured.load.elapsedMs) * 1000)
        progress.step(`${title}  round ${round}/${plan.rounds}  ${perSecond} req/s`)
      }
    }
    for (const [{ chain }, measured] of rounds) measurements.push(combine(cell, chain, measured))
  }
  progress.clear()
  return measurements
}

async function measureRound(
  route: Route,
  load: Load,
  driver: Child,
  onProgress: (completed: number) => void
): Promise<Round> {
  const proxyBefore = await sampleProxy(route.proxy)
  const appBefore = route.app.child.usage()
  const result = await drive(driver, load, onProgress)
  const appAfter = route.app.child.usage()
  const proxyAfter = await sampleProxy(route.proxy)
  return { load: result, proxyBefore, proxyAfter, appBefore, appAfter }
}

async function sampleProxy(proxy: RunningProxy | undefined): Promise<Sample> {
  if (proxy === undefined) return NOTHING
  const usage = proxy.child.usage()
  const { requests } = await proxy.statistics()
  return { usage, transports: requests.transport }
}

function combine(cell: Cell, chain: Chain, rounds: readonly Round[]): Measurement {
  const sum = (value: (round: Round) => number | undefined): number | undefined =>
    rounds.reduce<number | undefined>((total, round) => {
      const one = value(round)
      return total === undefined || one === undefined ? undefined : total + one
    }, 0)
  const latencies = mergeSorted(rounds.map(({ load }) => load.latenciesMs))
  const last = rounds.at(-1)
  return {
    cell,
    chain,
    requests: sum(({ load }) => load.completed)!,
    elapsedMs: sum(({ load }) => load.elapsedMs)!,
    p50Ms: percentile(latencies, 0.5),
    p99Ms: percentile(latencies, 0.99),
    proxyCpuMs: sum((r) => difference(r.proxyBefore.usage, r.proxyAfter.usage)),
    appCpuMs: sum((r) => difference(r.appBefore, r.appAfter)),
    proxyRssBytes: last?.proxyAfter.usage?.rssBytes,
    appRssBytes: last?.appAfter?.rssBytes,
    transports: addTransports(rounds),
    errors: sum(({ load }) => failuresOf(load))!
  }
}

/** Requests that did not get the exact answer they should have had. */
export function failuresOf(load: LoadResult): number {
  return load.refused + load.mismatches + load.lost
}

/** Of sorted values; NaN when there are none. */
export function percentile(sorted: Float64Array, share: number): number {
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN
}

function mergeSorted(parts: readonly Float64Array[]): Float64Array {
  const all = new Float64Array(parts.reduce((length, part) => length + part.length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all.sort()
}

function difference(before?: ProcessUsage, after?: ProcessUsage): number | undefined {
  return before === undefined || after === undefined ? undefined : after.cpuMs - before.cpuMs
}

function addTransports(rounds: readonly Round[]): Record<string, number> {
  const total: Record<string, number> = {}
  for (const { proxyBefore, proxyAfter } of rounds) {
    for (const [label, count] of Object.entries(proxyAfter.transports)) {
      total[label] = (total[label] ?? 0) + count - (proxyBefore.transports[label] ?? 0)
    }
  }
  return total
}
