import type { Child } from '../demo/child.ts'
import type { Load } from '../demo/driver.ts'
import { drive, failuresOf, percentile } from '../demo/measure.ts'
import type { Progress } from '../demo/progress.ts'
import { median, quantile } from '../transport/statistics.ts'
import type { RunningChain } from './chains.ts'
import { type Cell, type Contender, cellTitle, contenderTitle, type Plan } from './plan.ts'
import { type ProcessCounters, readCounters } from './process-counters.ts'
import type { ScenarioLoad } from './scenario-driver.ts'
import type { Scenario } from './scenarios.ts'
import { type SessionCounters, sessionCounters } from './session-counters.ts'
import { type DriveResult, driveWithWrk } from './wrk.ts'

/** One round. What is not said to be per second or in all is per request. */
export interface Round {
  /** In all. */
  readonly requests: number
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly p999Ms: number
  /** CPU, µs. */
  readonly proxyUser: number
  readonly proxySystem: number
  readonly appUser: number
  readonly appSystem: number
  /** Proxy and app. */
  readonly cpu: number
  /** CPU of autocannon, µs: where it takes most, it is what is measured. */
  readonly driverCpu: number | undefined
  /** Times proxy and app slept or were put aside. */
  readonly switches: number
  /** System calls by which one woke the other, where we count them. */
  readonly wakeUps: number | undefined
  /** Bytes copied between a process and the kernel, where Linux counts them (not of nginx, HAProxy). */
  readonly kernelBytes: number | undefined
  /** At the end of the round. */
  readonly proxyRssBytes: number | undefined
  readonly appRssBytes: number
  /** Shared memory that takes memory, whoever touched it. */
  readonly sessionBytes: number | undefined
  /** In all, by how they travelled. */
  readonly transports: Readonly<Record<string, number>>
  /** In all. */
  readonly errors: number
}

export interface Spread {
  readonly median: number
  readonly low: number
  readonly high: number
}

export interface Measurement extends Contender, Omit<Cell, 'contenders'> {
  readonly rounds: readonly Round[]
}

type NumberOf<T> = { [K in keyof T]: number extends T[K] ? K : never }[keyof T]

/** Median and quartiles of the rounds. */
export function spreadOf({ rounds }: Measurement, value: NumberOf<Round>): Spread {
  return spread(rounds.map((round) => round[value] as number))
}

export function spread(values: readonly number[]): Spread {
  return {
    median: median(values),
    low: quantile(values, 0.25),
    high: quantile(values, 0.75)
  }
}

interface Sample {
  readonly proxy: ProcessCounters | undefined
  readonly app: ProcessCounters
  readonly driverMicroseconds: number
  readonly session: SessionCounters | undefined
}

export class Bench {
  readonly #chains: ReadonlyMap<string, RunningChain>
  readonly #driver: Child
  readonly #scenarioDriver: Child

  /** @param drivers processes of driver.ts and scenario-driver.ts */
  constructor(chains: readonly RunningChain[], driver: Child, scenarioDriver: Child) {
    this.#scenarioDriver = scenarioDriver
    this.#chains = new Map(chains.map((running) => [running.chain, running]))
    this.#driver = driver
  }

  /** Of sessions that have carried nothing but a small request: shared memory that takes memory. */
  async idleSessions(): Promise<number[]> {
    const found: number[] = []
    for (const { shmesh, origin, outbound } of this.#chains.values()) {
      if (shmesh === undefined || outbound) continue
      await (await fetch(`${origin}/buffer/64/0`)).arrayBuffer()
      const { residentBytes } = await sessionCounters(shmesh)
      if (residentBytes !== undefined) found.push(residentBytes)
    }
    return found
  }

  /** Every byte of every body is compared here, and in no round that counts. */
  async warmUp({ cells, firstWarmUpMs }: Plan, progress: Progress): Promise<number> {
    let errors = 0
    const tried = new Set<string>()
    const sizes = cells.filter(({ scenario }) => scenario === undefined)
    const all = sizes.flatMap((cell) => cell.contenders.map((contender) => ({ cell, contender })))
    const once = all.filter(({ cell, contender }) => {
      const key = `${contender.chain} ${contender.kind} ${cell.bytes}`
      return !tried.has(key) && tried.add(key)
    })
    const durationMs = Math.max(200, (firstWarmUpMs * this.#chains.size) / once.length)
    for (const { cell, contender } of once) {
      progress.update(`warming up: ${cellTitle(cell)}  ${contenderTitle(contender)}`)
      const load = this.#load({ ...cell, connections: 16 }, contender, durationMs)
      errors += await this.#compare(contender, { ...load, compare: 'bytes' })
    }
    return errors
  }

  async #compare({ chain }: Contender, load: Load): Promise<number> {
    const { outbound, app } = this.#chains.get(chain)!
    if (outbound) return (await play(app, load)).errors
    const { refused, mismatches } = await drive(this.#driver, load, ignore)
    return refused + mismatches
  }

  async measure(cell: Cell, plan: Plan, onRound: (text: string) => void): Promise<Measurement[]> {
    const rounds = new Map<Contender, Round[]>()
    for (const contender of cell.contenders) {
      rounds.set(contender, [])
      await this.#drive(cell, contender, plan.warmUpMs)
    }
    for (let round = 0; round < plan.rounds; round++) {
      // Who goes first must not matter.
      const turns = round % 2 === 0 ? cell.contenders : cell.contenders.toReversed()
      for (const contender of turns) {
        onRound(`round ${round + 1}/${plan.rounds}  ${contenderTitle(contender)}`)
        rounds.get(contender)!.push(await this.#round(cell, contender, plan.roundMs))
      }
    }
    const { contenders: _, ...rest } = cell
    return [...rounds].map(([contender, measured]) => ({
      ...contender,
      ...rest,
      rounds: measured
    }))
  }

  #load(cell: Cell, { chain, kind }: Contender, durationMs: number): Load {
    const { method, bytes, connections } = cell
    const { origin, socketPath } = this.#chains.get(chain)!
    return {
      origin,
      socketPath,
      method,
      bytes,
      connections,
      durationMs,
      prefix: `/${kind}`,
      compare: 'length',
      // Sharing is for one body many times.
      ...(kind === 'shared' && { variants: 1 })
    }
  }

  async #drive(cell: Cell, contender: Contender, durationMs: number): Promise<DriveResult> {
    const { scenario } = cell
    const load = this.#load(cell, contender, durationMs)
    if (scenario !== undefined) return play(this.#scenarioDriver, scenarioLoad(load, scenario))
    const { outbound, app } = this.#chains.get(contender.chain)!
    if (outbound) return play(app, load)
    if (cell.driver === 'wrk') return driveWithWrk(load)
    const result = await drive(this.#driver, load, ignore)
    const latencies = result.latenciesMs.toSorted()
    return {
      completed: result.completed,
      elapsedMs: result.elapsedMs,
      p50Ms: percentile(latencies, 0.5),
      p99Ms: percentile(latencies, 0.99),
      p999Ms: percentile(latencies, 0.999),
      errors: failuresOf(result)
    }
  }

  async #round(cell: Cell, contender: Contender, durationMs: number): Promise<Round> {
    const running = this.#chains.get(contender.chain)!
    const before = await this.#sample(running)
    const load = await this.#drive(cell, contender, durationMs)
    const after = await this.#sample(running)
    const requests = load.completed
    const per = (value: (sample: Sample) => number | undefined): number =>
      ((value(after) ?? 0) - (value(before) ?? 0)) / requests
    const proxyUser = per(({ proxy }) => proxy?.userMicroseconds)
    const proxySystem = per(({ proxy }) => proxy?.systemMicroseconds)
    const appUser = per(({ app }) => app.userMicroseconds)
    const appSystem = per(({ app }) => app.systemMicroseconds)
    const counted = running.proxy === undefined || running.shmesh !== undefined
    return {
      requests,
      perSecond: (requests / load.elapsedMs) * 1000,
      p50Ms: load.p50Ms,
      p99Ms: load.p99Ms,
      p999Ms: load.p999Ms,
      proxyUser,
      proxySystem,
      appUser,
      appSystem,
      cpu: proxyUser + proxySystem + appUser + appSystem,
      driverCpu:
        cell.driver === 'wrk' || cell.scenario !== undefined || cell.outbound
          ? undefined
          : per(({ driverMicroseconds }) => driverMicroseconds),
      switches: per(
        ({ proxy, app }) =>
          app.voluntarySwitches +
          app.involuntarySwitches +
          (proxy === undefined ? 0 : proxy.voluntarySwitches + proxy.involuntarySwitches)
      ),
      wakeUps: after.session === undefined ? undefined : per(({ session }) => session?.wakeUps),
      kernelBytes: counted
        ? per(({ proxy, app }) => app.transferredBytes + (proxy?.transferredBytes ?? 0))
        : undefined,
      proxyRssBytes: after.proxy?.rssBytes,
      appRssBytes: after.app.rssBytes,
      sessionBytes: after.session?.residentBytes,
      transports: subtract(after.session?.transports, before.session?.transports),
      errors: load.errors
    }
  }

  async #sample({ proxy, app, shmesh }: RunningChain): Promise<Sample> {
    const session = shmesh === undefined ? undefined : await sessionCounters(shmesh)
    return {
      proxy: proxy === undefined ? undefined : readCounters(proxy.pid),
      app: readCounters(app.pid),
      driverMicroseconds: (this.#driver.usage()?.cpuMs ?? 0) * 1000,
      session
    }
  }
}

function subtract(
  after: Readonly<Record<string, number>> = {},
  before: Readonly<Record<string, number>> = {}
): Record<string, number> {
  return Object.fromEntries(
    Object.entries(after).map(([label, count]) => [label, count - (before[label] ?? 0)])
  )
}

function scenarioLoad({ origin, socketPath, durationMs }: Load, scenario: Scenario): ScenarioLoad {
  return { scenario, origin, socketPath, durationMs }
}

/** A process that drives itself. */
function play(driver: Child, load: Load | ScenarioLoad): Promise<DriveResult> {
  const result = driver.receive((message) => (message as { result?: DriveResult }).result)
  driver.send(load)
  return result
}

function ignore(): void {}
