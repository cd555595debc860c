import type { ShmSession } from '../../adapter/shmipc/index.ts'
import type { ClusterConfig } from '../config/types.ts'
import type { ProxyContext } from '../context.ts'
import { Endpoint, type EndpointStatistics } from './endpoint.ts'

export interface ClusterStatistics {
  readonly name: string
  readonly endpoints: readonly EndpointStatistics[]
}

/** Where the requests of a route go. */
export interface Cluster {
  readonly config: ClusterConfig
  /**
   * The endpoint to ask next; `undefined` when the request names none that exists.
   *
   * @param tried those that failed this request before
   * @param authority the host the request asks for
   */
  pick(tried: readonly Endpoint[], authority: string): Endpoint | undefined
  /** Whether at least one endpoint can be connected to. */
  reachable(): Promise<boolean>
  readonly sessions: readonly ShmSession[]
  statistics(): ClusterStatistics
  close(): void
  destroy(): void
}

/** The endpoint with the fewest requests in flight; those that failed lately come last. */
export class StaticCluster implements Cluster {
  readonly config: ClusterConfig
  readonly #endpoints: readonly Endpoint[]
  #next = 0

  constructor(config: ClusterConfig, context: ProxyContext) {
    this.config = config
    this.#endpoints = config.endpoints.map((endpoint) => new Endpoint(endpoint, config, context))
  }

  pick(tried: readonly Endpoint[]): Endpoint | undefined {
    if (this.#endpoints.length === 1) return this.#endpoints[0]
    return (
      this.#leastBusy((endpoint) => !tried.includes(endpoint) && endpoint.admits()) ??
      this.#leastBusy((endpoint) => tried.includes(endpoint) && endpoint.admits()) ??
      this.#leastBusy((endpoint) => !tried.includes(endpoint)) ??
      this.#leastBusy(() => true)
    )
  }

  async reachable(): Promise<boolean> {
    const all = await Promise.all(this.#endpoints.map((endpoint) => endpoint.reachable()))
    return all.includes(true)
  }

  get sessions(): readonly ShmSession[] {
    return this.#endpoints.flatMap((endpoint) => endpoint.sessions)
  }

  statistics(): ClusterStatistics {
    return {
      name: this.config.name,
      endpoints: this.#endpoints.map((endpoint) => endpoint.statistics())
    }
  }

  close(): void {
    for (const endpoint of this.#endpoints) endpoint.close()
  }

  destroy(): void {
    for (const endpoint of this.#endpoints) endpoint.destroy()
  }

  /** Equally busy ones take turns. */
  #leastBusy(eligible: (endpoint: Endpoint) => boolean): Endpoint | undefined {
    const endpoints = this.#endpoints
    this.#next = (this.#next + 1) % endpoints.length
    let best: Endpoint | undefined
    for (let i = 0; i < endpoints.length; i++) {
      const endpoint = endpoints[(this.#next + i) % endpoints.length] as Endpoint
      if (best !== undefined && endpoint.inFlight >= best.inFlight) continue
      if (eligible(endpoint)) best = endpoint
    }
    return best
  }
}
