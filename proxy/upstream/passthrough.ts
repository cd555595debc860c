import type { ShmSession } from '../../adapter/shmipc/index.ts'
import { PASSTHROUGH } from '../config/resolve.ts'
import type { ClusterConfig } from '../config/types.ts'
import type { ProxyContext } from '../context.ts'
import { hostOf } from '../routes.ts'
import type { Cluster, ClusterStatistics } from './cluster.ts'
import { Endpoint } from './endpoint.ts'

/** Hosts remembered; beyond it those without a connection are forgotten. */
const MAX_ENDPOINTS = 1024

/** The built-in cluster: HTTP over TCP to whatever host the request itself asks for. */
export class PassthroughCluster implements Cluster {
  readonly config: ClusterConfig
  readonly #context: ProxyContext
  readonly #endpoints = new Map<string, Endpoint>()

  constructor(defaults: Omit<ClusterConfig, 'name' | 'endpoints'>, context: ProxyContext) {
    this.config = { ...defaults, name: PASSTHROUGH, endpoints: [] }
    this.#context = context
  }

  pick(_tried: readonly Endpoint[], authority: string): Endpoint | undefined {
    const host = hostOf(authority)
    if (host === '') return undefined
    const port = Number(/:(\d+)$/.exec(authority)?.[1] ?? 80)
    if (port === 0) return undefined
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
    return { name: this.config.name, endpoints }
  }

  close(): void {
    for (const endpoint of this.#endpoints.values()) endpoint.close()
  }

  destroy(): void {
    for (const endpoint of this.#endpoints.values()) endpoint.destroy()
  }

  #add(key: string, host: string, port: number): Endpoint | undefined {
    if (this.#endpoints.size >= MAX_ENDPOINTS) this.#forgetUnused()
    if (this.#endpoints.size >= MAX_ENDPOINTS) return undefined
    const bare = host.startsWith('[') ? host.slice(1, -1) : host
    const address = { kind: 'http', text: `http://${key}`, host: bare, port } as const
    const endpoint = new Endpoint({ address, memory: undefined }, this.config, this.#context)
    this.#endpoints.set(key, endpoint)
    return endpoint
  }

  #forgetUnused(): void {
    for (const [key, endpoint] of this.#endpoints) {
      if (endpoint.unused) this.#endpoints.delete(key)
    }
  }
}
