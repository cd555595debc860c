import type { ProxyContext } from './context.ts'
import type { FailureReason, TransportLabel } from './counters.ts'
import type { Listener } from './listener.ts'
import type { Cluster, ClusterStatistics } from './upstream/cluster.ts'

/** What GET /stats answers. Counts are since the start. */
export interface ProxyStatistics {
  readonly draining: boolean
  readonly requests: {
    readonly total: number
    readonly active: number
    readonly retries: number
    /** By class of the status sent; `none` were aborted or left before they got one. */
    readonly status: Readonly<Record<'1xx' | '2xx' | '3xx' | '4xx' | '5xx' | 'none', number>>
    /** How those an upstream answered have travelled. */
    readonly transport: Readonly<Record<TransportLabel, number>>
    readonly failures: Readonly<Partial<Record<FailureReason, number>>>
  }
  /** Lines of the access log nobody took fast enough. */
  readonly accessLogDropped: number
  /** Other configurations: those in use since, and those that could not be used. */
  readonly reloads: { readonly succeeded: number; readonly failed: number }
  readonly listeners: readonly {
    readonly name: string
    readonly address: string
    readonly connections: number
    /** Connections since the start. */
    readonly accepted: number
  }[]
  readonly clusters: readonly ClusterStatistics[]
}

export function reportStatistics(
  context: ProxyContext,
  listeners: readonly Listener[],
  clusters: readonly Cluster[]
): ProxyStatistics {
  const { counters } = context
  const [none, informational, success, redirection, clientError, serverError] = counters.classes
  return {
    draining: context.draining,
    requests: {
      total: counters.total,
      active: counters.active,
      retries: counters.retries,
      status: {
        '1xx': informational,
        '2xx': success,
        '3xx': redirection,
        '4xx': clientError,
        '5xx': serverError,
        none
      },
      transport: { ...counters.transports },
      failures: Object.fromEntries(counters.failures)
    },
    accessLogDropped: context.accessLog?.dropped ?? 0,
    reloads: { ...counters.reloads },
    listeners: listeners.map(({ name, address, connections, accepted }) => ({
      name,
      address,
      connections,
      accepted
    })),
    clusters: clusters.map((cluster) => cluster.statistics())
  }
}
