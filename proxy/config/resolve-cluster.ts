import { parseMemory } from '../../adapter/options.ts'
import type { ClusterDocument, EndpointDocument } from './document.ts'
import type { ConfigPath } from './problem.ts'
import { ConfigReader } from './reader.ts'
import { resolveTuning } from './tuning.ts'
import {
  type ClusterConfig,
  type EndpointConfig,
  type OutlierConfig,
  PASSTHROUGH,
  type RetryConditions
} from './types.ts'

const SERVER_ERRORS = Array.from({ length: 100 }, (_, index) => 500 + index)
const GATEWAY_ERRORS = [502, 503, 504]

export function resolveCluster(
  reader: ConfigReader,
  path: ConfigPath,
  cluster: ClusterDocument
): ClusterConfig {
  const timeouts = cluster.timeouts ?? {}
  const positive = (key: keyof typeof timeouts, fallback: string) =>
    reader.positive([...path, 'timeouts', key], timeouts[key] ?? fallback)
  const optional = (key: keyof typeof timeouts, fallback: string) =>
    reader.duration([...path, 'timeouts', key], timeouts[key] ?? fallback)
  return {
    name: cluster.name,
    endpoints: cluster.endpoints.map((endpoint, index) =>
      resolveEndpoint(reader, [...path, 'endpoints', index], endpoint)
    ),
    connectTimeoutMs: positive('connect', '1s'),
    queueTimeoutMs: positive('queue', '5s'),
    headTimeoutMs: optional('head', '0ms'),
    perTryTimeoutMs: optional('perTry', '0ms'),
    bodyTimeoutMs: optional('body', '5m'),
    requestTimeoutMs: optional('request', '0ms'),
    idleTimeoutMs: positive('idle', '30s'),
    retries: cluster.retries ?? 2,
    retryOn: retryConditions(cluster.retryOn ?? ['connect-failure', 'reset', 'timeout']),
    retryBackoffMs: reader.positive([...path, 'retryBackoff'], cluster.retryBackoff ?? '25ms'),
    retryBudget: {
      percent: cluster.retryBudget?.percent ?? 20,
      minimum: cluster.retryBudget?.minimum ?? 3
    },
    retryBufferBytes: reader.size(
      [...path, 'retryBufferLimit'],
      cluster.retryBufferLimit ?? '2MiB'
    ),
    requests: cluster.requests ?? 0,
    connections: cluster.connections ?? 1024,
    pending: cluster.pending ?? 1024,
    outlier: resolveOutlier(reader, [...path, 'outlier'], cluster.outlier),
    minFreeMemoryPercent: cluster.minFreeMemory ?? 0
  }
}

/** The built-in cluster's configuration: that of a cluster which says nothing. */
export function passthroughDefaults(): ClusterConfig {
  return resolveCluster(new ConfigReader(), [], { name: PASSTHROUGH, endpoints: [] })
}

function resolveEndpoint(
  reader: ConfigReader,
  path: ConfigPath,
  endpoint: EndpointDocument
): EndpointConfig {
  const address = reader.address([...path, 'address'], endpoint.address, 'endpoint')
  const shared = address.kind === 'shm' || address.kind === 'shm-directory'
  if (endpoint.memory !== undefined && !shared) {
    reader.problem([...path, 'memory'], 'is for shm:// endpoints')
  }
  reader.try([...path, 'memory'], 0, (option) => parseMemory(option, endpoint.memory))
  const tuning = reader.try(path, {}, (option) => resolveTuning(option, endpoint, shared))
  return { address, weight: endpoint.weight ?? 1, memory: endpoint.memory, ...tuning }
}

function resolveOutlier(
  reader: ConfigReader,
  path: ConfigPath,
  outlier: ClusterDocument['outlier']
): OutlierConfig | undefined {
  if (outlier === undefined) return undefined
  return {
    consecutive5xx: outlier.consecutive5xx ?? 5,
    ejectionMs: reader.positive([...path, 'ejection'], outlier.ejection ?? '30s'),
    maxEjectionMs: reader.positive([...path, 'maxEjection'], outlier.maxEjection ?? '5m'),
    maxEjectedPercent: outlier.maxEjectedPercent ?? 10
  }
}

function retryConditions(names: NonNullable<ClusterDocument['retryOn']>): RetryConditions {
  const statuses = new Set<number>()
  for (const name of names) {
    if (typeof name === 'number') statuses.add(name)
    else if (name === '5xx') for (const status of SERVER_ERRORS) statuses.add(status)
    else if (name === 'gateway-error') for (const status of GATEWAY_ERRORS) statuses.add(status)
  }
  return {
    connectFailure: names.includes('connect-failure'),
    reset: names.includes('reset'),
    timeout: names.includes('timeout'),
    statuses: [...statuses].sort((a, b) => a - b)
  }
}
