import { isDeepStrictEqual } from 'node:util'
import { ShmError } from '../adapter/errors.ts'
import { passthroughDefaults } from './config/resolve-cluster.ts'
import { PASSTHROUGH, type PassthroughConfig, type ProxyConfig } from './config/types.ts'
import type { ProxyContext } from './context.ts'
import { type Cluster, StaticCluster } from './upstream/cluster.ts'
import { PassthroughCluster } from './upstream/passthrough.ts'
import { type OwnPorts, PassthroughRules } from './upstream/passthrough-rules.ts'

/** The clusters of one configuration, and the built-in one. */
export class ClusterSet {
  readonly #clusters = new Map<string, Cluster>()
  readonly #passthrough: PassthroughConfig

  /** @param before of the configuration so far: what is the same in both goes on as it is */
  constructor(
    config: ProxyConfig,
    context: ProxyContext,
    ownPorts: () => OwnPorts,
    before?: ClusterSet
  ) {
    this.#passthrough = config.passthrough
    for (const cluster of config.clusters) {
      const old = before === undefined ? undefined : before.#clusters.get(cluster.name)
      const same = isDeepStrictEqual(old?.config, cluster)
      this.#clusters.set(cluster.name, same && old ? old : new StaticCluster(cluster, context))
    }
    const rules = new PassthroughRules(config.passthrough, ownPorts)
    const same = before !== undefined && isDeepStrictEqual(before.#passthrough, config.passthrough)
    const old = same ? before.#clusters.get(PASSTHROUGH) : undefined
    this.#clusters.set(
      PASSTHROUGH,
      old ?? new PassthroughCluster(passthroughDefaults(), context, rules)
    )
  }

  get all(): Cluster[] {
    return [...this.#clusters.values()]
  }

  /** @throws {ShmError} `SHM_ERR_CONFIG` when there is none of that name */
  find(name: string): Cluster {
    const cluster = this.#clusters.get(name)
    if (cluster !== undefined) return cluster
    throw new ShmError('SHM_ERR_CONFIG', `there is no cluster "${name}"`)
  }

  /** Those that are not part of `other`. */
  without(other: ClusterSet): Cluster[] {
    const kept = new Set(other.all)
    return this.all.filter((cluster) => !kept.has(cluster))
  }
}
