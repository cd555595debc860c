import type { ShmSession } from '../../adapter/shmipc/index.ts'
import type { ClusterConfig } from '../config/types.ts'
import type { ProxyContext } from '../context.ts'
import { type Failure, failures } from '../failure.ts'
import { Endpoint, type EndpointStatistics } from './endpoint.ts'
import { EndpointDirectory } from './endpoint-directory.ts'
import { ClusterLoad, type LoadStatistics } from './load.ts'
import { isReachable } from './reachable.ts'

export interface ClusterStatistics extends LoadStatistics {
  readonly name: string
  readonly endpoints: readonly EndpointStatistics[]
}

/** Where the requests of a route go. */
export interface Cluster {
  readonly config: ClusterConfig
  readonly load: ClusterLoad
  /** Endpoints there are at present. */
  readonly size: number
  /**
   * The endpoint to ask next, or why there is none.
   *
   * @param tried those that failed this request before
   * @param authority the host the request asks for
   */
  pick(tried: readonly Endpoint[], authority: string): Endpoint | Failure
  /** Whether at least one endpoint can be connected to. */
  reachable(): Promise<boolean>
  readonly sessions: readonly ShmSession[]
  statistics(): ClusterStatistics
  /** Serves what is under way, and lets go of all that is idle. */
  retire(): void
  destroy(): void
}

/** Endpoints of the configuration, and of the directories it names. */
export class StaticCluster implements Cluster {
  readonly config: ClusterConfig
  readonly load: ClusterLoad
  readonly #fixed: readonly Endpoint[]
  readonly #directories: readonly EndpointDirectory[]
  #endpoints: readonly Endpoint[] = []
  /** Their weights differ. */
  #weighted = false
  #turn = 0

  constructor(config: ClusterConfig, context: ProxyContext) {
    this.config = config
    this.load = new ClusterLoad(config)
    const mayEject = () => this.#mayEject()
    const fixed: Endpoint[] = []
    const directories: EndpointDirectory[] = []
    for (const endpoint of config.endpoints) {
      if (endpoint.address.kind !== 'shm-directory') {
        fixed.push(new Endpoint(endpoint, config, context, mayEject))
        continue
      }
      const add = (text: string, path: string) => {
        const address = { kind: 'shm', text, path } as const
        return new Endpoint({ ...endpoint, address }, config, context, mayEject)
      }
      directories.push(
        new EndpointDirectory(endpoint.address.path, add, () => this.#gather(), context.log)
      )
    }
    this.#fixed = fixed
    this.#directories = directories
    this.#gather()
  }

  get size(): number {
    return this.#endpoints.length
  }

  pick(tried: readonly Endpoint[]): Endpoint | Failure {
    const endpoints = this.#endpoints
    const only = endpoints.length === 1 ? endpoints[0] : undefined
    const chosen = only ?? this.#best(tried)
    if (chosen === undefined) return failures.emptyCluster(this.config.name, this.#problem())
    if (chosen.isShort()) return failures.noMemory(chosen.label, this.config.minFreeMemoryPercent)
    chosen.ejection.probe()
    return chosen
  }

  async reachable(): Promise<boolean> {
    const { connectTimeoutMs } = this.config
    const all = await Promise.all(
      this.#endpoints.map((endpoint) => isReachable(endpoint, connectTimeoutMs))
    )
    return all.includes(true)
  }

  get sessions(): readonly ShmSession[] {
    return this.#endpoints.flatMap((endpoint) => endpoint.sessions)
  }

  statistics(): ClusterStatistics {
    return {
      name: this.config.name,
      ...this.load.statistics(),
      endpoints: this.#endpoints.map((endpoint) => endpoint.statistics())
    }
  }

  retire(): void {
    for (const directory of this.#directories) directory.close()
    for (const endpoint of this.#endpoints) endpoint.retire()
  }

  destroy(): void {
    for (const directory of this.#directories) directory.destroy()
    for (const endpoint of this.#endpoints) endpoint.destroy()
  }

  #gather(): void {
    const found = this.#directories.flatMap((directory) => directory.endpoints)
    this.#endpoints = [...this.#fixed, ...found]
    this.#weighted = this.#endpoints.some(({ weight }) => weight !== this.#endpoints[0]?.weight)
  }

  /**
   * Of those nothing speaks against the one with the fewest requests in flight for its weight;
   * equally busy ones take turns.
   */
  #best(tried: readonly Endpoint[]): Endpoint | undefined {
    const endpoints = this.#endpoints
    this.#turn++
    const start = this.#weighted ? this.#weightedStart() : this.#turn
    let best: Endpoint | undefined
    let bestObjections = 0
    for (let i = 0; i < endpoints.length; i++) {
      const endpoint = endpoints[(start + i) % endpoints.length] as Endpoint
      const objections = objectionsTo(endpoint, tried)
      if (best !== undefined) {
        if (objections > bestObjections) continue
        const busier = endpoint.inFlight * best.weight >= best.inFlight * endpoint.weight
        if (objections === bestObjections && busier) continue
      }
      best = endpoint
      bestObjections = objections
    }
    return best
  }

  /** Of those that are idle together, the weights decide which is first. */
  #weightedStart(): number {
    const sum = this.#endpoints.reduce((total, { weight }) => total + weight, 0)
    const at = Math.random() * sum
    let upTo = 0
    for (const [index, { weight }] of this.#endpoints.entries()) {
      upTo += weight
      if (at < upTo) return index
    }
    return 0
  }

  /** One endpoint always, and of many a share. */
  #mayEject(): boolean {
    const ejected = this.#endpoints.filter(({ ejection }) => ejection.forErrors).length
    const percent = this.config.outlier?.maxEjectedPercent ?? 0
    return ejected < Math.max(1, Math.floor((this.#endpoints.length * percent) / 100))
  }

  #problem(): string {
    return this.#directories.map((directory) => directory.problem).join('; ')
  }
}

/** The worst reason not to ask `endpoint`, as a number; 0 for none. */
function objectionsTo(endpoint: Endpoint, tried: readonly Endpoint[]): number {
  if (endpoint.isShort()) return 4
  const passedOver = endpoint.ejection.passesOver() ? 2 : 0
  return tried.includes(endpoint) ? passedOver + 1 : passedOver
}
