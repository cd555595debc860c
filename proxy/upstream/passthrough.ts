import type { ShmSession } from '../../adapter/shmipc/index.ts'
import type { ClusterConfig } from '../config/types.ts'
import type { ProxyContext } from '../context.ts'
import { type Failure, failures } from '../failure.ts'
import { hostOf } from '../routes.ts'
import type { Cluster, ClusterStatistics } from './cluster.ts'
import { Endpoint } from './endpoint.ts'
import { ClusterLoad } from './load.ts'
import type { PassthroughRules } from './passthrough-rules.ts'

/** Hosts remembered; beyond it those without a connection are forgotten. */
const MAX_ENDPOINTS = 1024

/** The built-in cluster: HTTP over TCP to whatever host the request itself asks for. */
export class PassthroughCluster implements Cluster {
  readonly config: ClusterConfig
  readonly load: ClusterLoad
  /** Of the endpoints one request may go to. */
  readonly size = 1
  readonly #context: ProxyContext
  readonly #rules: PassthroughRules
  readonly #endpoints = new Map<string, Endpoint>()

  constructor(config: ClusterConfig, context: ProxyContext, rules: PassthroughRules) {
    this.config = config
    this.load = new ClusterLoad(config)
    this.#context = context
    this.#rules = rules
  }

  pick(_tried: readonly Endpoint[], authority: string): Endpoint | Failure {
    const host = hostOf(authority)
    const port = Number(/:(\d+)$/.exec(authority)?.[1] ?? 80)
    if (host === '' || port === 0) return failures.noEndpoint(authority)
    const key = `${host}:${port}`
    return this.#endpoints.get(key) ?? this.#add(key, host, port)
  }

  /** There is nothing that could be missing. */
  reachable(): Promise<boolean> {
    return Promise.resolve(true)
  }

  get sessions(): readonly ShmSession[] {
    return []
  }

  statistics(): ClusterStatistics {
    const endpoints = [...this.#endpoints.values()].map((endpoint) => endpoint.statistics())
    return { name: this.config.name, ...this.load.statistics(), endpoints }
  }

  retire(): void {
    for (const endpoint of this.#endpoints.values()) endpoint.retire()
  }

  destroy(): void {
    for (const endpoint of this.#endpoints.values()) endpoint.destroy()
  }

  #add(key: string, host: string, port: number): Endpoint | Failure {
    const bare = host.startsWith('[') ? host.slice(1, -1) : host
    const refusal = this.#rules.refusal(bare, port)
    if (refusal !== undefined) return refusal
    if (this.#endpoints.size >= MAX_ENDPOINTS) this.#forgetUnused()
    if (this.#endpoints.size >= MAX_ENDPOINTS) return failures.noEndpoint(key)
    const address = { kind: 'http', text: `http://${key}`, host: bare, port } as const
    const endpoint = new Endpoint(
      { address, weight: 1, memory: undefined },
      this.config,
      this.#context,
      () => false,
      this.#rules.lookupFor(port)
    )
    this.#endpoints.set(key, endpoint)
    return endpoint
  }

  #forgetUnused(): void {
    for (const [key, endpoint] of this.#endpoints) {
      if (endpoint.unused) this.#endpoints.delete(key)
    }
  }
}
