import { setTimeout as sleep } from 'node:timers/promises'
import type { Workspace } from '../demo/workspace.ts'
import { Random } from '../soak/random.ts'
import { Chain, descriptors } from './chain.ts'
import { DISTURBANCES, type Disturbance } from './disturbances.ts'
import { Load } from './load.ts'

/** So many whole answers in a row and it has recovered. */
const RECOVERED = 100
/** Within this it has to recover by itself, ms; also what calm takes at the end. */
const RECOVERY_MS = 20_000
/** Descriptors that come and go: a probe, a connection being closed. */
const SPARE_DESCRIPTORS = 4

export interface AbuseOptions {
  readonly rounds: number
  /** Requests per second. */
  readonly rate: number
  readonly seed: number
}

/** Load, one disturbance after the other, and a look at what is left when all is quiet. */
export class Abuse {
  readonly #chain: Chain
  readonly #load: Load
  readonly #options: AbuseOptions
  readonly #random: Random
  readonly #problems: string[] = []

  constructor(workspace: Workspace, options: AbuseOptions) {
    this.#options = options
    this.#random = new Random(options.seed)
    this.#chain = new Chain(workspace)
    this.#load = new Load(this.#chain.path, options.seed, options.rate)
  }

  /** Resolves to what was wrong; empty when nothing was. */
  async run(): Promise<string[]> {
    const { rounds, seed } = this.#options
    await this.#chain.startApp()
    await this.#chain.startProxy()
    const running = this.#load.run()
    await this.#recover('the start')
    for (let round = 0; round < rounds; round++) {
      const order = [...DISTURBANCES].sort(() => this.#random.next() - 2 ** 31)
      for (const disturbance of order) await this.#disturb(disturbance)
    }
    await this.#load.stop()
    await running
    await this.#quiet()
    const { endings, complaints } = this.#load
    const counts = Object.entries(endings).map(([ending, count]) => `${count} ${ending}`)
    process.stdout.write(`${counts.join(', ')}; seed ${seed}\n`)
    return [...this.#problems, ...complaints]
  }

  async #disturb(disturbance: Disturbance): Promise<void> {
    const load = this.#load
    const before = { ...load.endings }
    load.disturbed = disturbance.harmless !== true
    await disturbance.run(this.#chain, this.#random)
    const tookMs = await this.#recover(disturbance.name)
    const lost = load.endings.refused + load.endings.broken - before.refused - before.broken
    process.stdout.write(`${disturbance.name}: ${lost} lost, whole again after ${tookMs} ms\n`)
    load.disturbed = false
    await sleep(500)
  }

  /** Waits until requests are whole again; returns how long that took, ms. */
  async #recover(from: string): Promise<number> {
    const start = performance.now()
    this.#load.wholeInARow = 0
    while (this.#load.wholeInARow < RECOVERED) {
      await sleep(10)
      if (performance.now() - start < RECOVERY_MS) continue
      this.#problems.push(`not recovered from: ${from}`)
      break
    }
    return Math.round(performance.now() - start)
  }

  /** Nothing of what was done is left in either process. */
  async #quiet(): Promise<void> {
    const chain = this.#chain
    let left: string[] = []
    const deadline = performance.now() + RECOVERY_MS
    do {
      await sleep(100)
      left = await this.#left()
    } while (left.length > 0 && performance.now() < deadline)
    const before = { app: descriptors(chain.app), proxy: descriptors(chain.proxy) }
    await sleep(1000)
    for (const name of ['app', 'proxy'] as const) {
      const now = descriptors(chain[name])
      if (now > before[name] + SPARE_DESCRIPTORS) left.push(`${now} descriptors of the ${name}`)
    }
    this.#problems.push(...left.map((what) => `left behind: ${what}`))
  }

  async #left(): Promise<string[]> {
    const { requests, listeners } = await this.#chain.statistics()
    const left: string[] = []
    if (requests.active > 0) left.push(`${requests.active} requests`)
    for (const { name, connections } of listeners) {
      if (connections > 0) left.push(`${connections} connections of ${name}`)
    }
    const sessions = (await this.#chain.sharedMemory()).flatMap((report) => report.sessions)
    if (sessions.length !== 1) left.push(`${sessions.length} sessions`)
    for (const { slicesInUse, leases, keptBytes } of sessions) {
      const held = { slicesInUse, leases, keptBytes }
      for (const [what, count] of Object.entries(held)) {
        if (count > 0) left.push(`${count} ${what}`)
      }
    }
    return left
  }
}
