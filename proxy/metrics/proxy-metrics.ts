/** What is told of connections, endpoints, failures and the process. */
import { FAILURE_FLAGS } from '../failure.ts'
import type { ProxyStatistics } from '../statistics.ts'
import type { Families, Sample } from './family.ts'

export function addProxyMetrics(to: Families, statistics: ProxyStatistics): void {
  const { requests, listeners } = statistics
  to.counter('retry_total', 'Requests sent once more after an upstream failed.', [
    { labels: {}, value: requests.retries }
  ])
  to.counter(
    'transport_total',
    'Requests an upstream answered, by how they travelled.',
    Object.entries(requests.transport).map(([transport, value]) => ({
      labels: { transport },
      value
    }))
  )
  to.counter(
    'failure_total',
    'Requests the proxy answered itself or cut short, by reason and response flag.',
    Object.entries(requests.failures).map(([reason, value]) => ({
      labels: { reason, flag: FAILURE_FLAGS[reason as keyof typeof FAILURE_FLAGS] },
      value
    }))
  )
  to.counter('access_log_dropped_total', 'Lines nobody took fast enough.', [
    { labels: {}, value: statistics.accessLogDropped }
  ])
  to.counter(
    'config_reload_total',
    'Other configurations, by whether they could be used.',
    Object.entries(statistics.reloads).map(([result, value]) => ({ labels: { result }, value }))
  )
  to.gauge('draining', '1 while the proxy is about to stop.', [
    { labels: {}, value: statistics.draining ? 1 : 0 }
  ])
  to.counter(
    'tcp_open_total',
    'Client connections accepted, whatever they travel by.',
    listeners.map(({ name, accepted }) => ({ labels: { listener: name }, value: accepted }))
  )
  to.gauge(
    'tcp_open_connections',
    'Client connections open.',
    listeners.map(({ name, connections }) => ({ labels: { listener: name }, value: connections }))
  )
  addClusterMetrics(to, statistics)
  addEndpointMetrics(to, statistics)
}

function addClusterMetrics(to: Families, { clusters }: ProxyStatistics): void {
  type Cluster = ProxyStatistics['clusters'][number]
  const each = (value: (cluster: Cluster) => number): Sample[] =>
    clusters.map((cluster) => ({ labels: { cluster: cluster.name }, value: value(cluster) }))
  to.gauge(
    'cluster_request_active',
    'Requests a cluster has in flight.',
    each(({ active }) => active)
  )
  to.gauge(
    'cluster_request_queued',
    'Requests that wait until a cluster has fewer in flight.',
    each(({ queued }) => queued)
  )
  to.counter(
    'cluster_retry_denied_total',
    'Retries that the budget had no room for.',
    each(({ retriesDenied }) => retriesDenied)
  )
}

function addEndpointMetrics(to: Families, { clusters }: ProxyStatistics): void {
  type Endpoint = ProxyStatistics['clusters'][number]['endpoints'][number]
  const each = (value: (endpoint: Endpoint) => number): Sample[] =>
    clusters.flatMap(({ name, endpoints }) =>
      endpoints.map((endpoint) => ({
        labels: { cluster: name, endpoint: endpoint.address },
        value: value(endpoint)
      }))
    )
  to.counter(
    'endpoint_request_total',
    'Requests an endpoint was chosen for.',
    each((endpoint) => endpoint.requests)
  )
  to.counter(
    'endpoint_connect_failure_total',
    'Connections that could not be made.',
    each((endpoint) => endpoint.connectFailures)
  )
  to.gauge(
    'endpoint_request_active',
    'Requests an endpoint has, or that wait for a connection to it.',
    each((endpoint) => endpoint.inFlight)
  )
  to.gauge(
    'endpoint_connections',
    'Open connections to an endpoint.',
    each((endpoint) => endpoint.connections)
  )
  to.gauge(
    'endpoint_ejected',
    '1 while an endpoint is passed over because it failed lately.',
    each((endpoint) => (endpoint.ejected ? 1 : 0))
  )
}

export function addProcessMetrics(to: Families): void {
  const { user, system } = process.cpuUsage()
  const one = (value: number) => [{ labels: {}, value }]
  to.counter('process_cpu_seconds_total', 'CPU this process used.', one((user + system) / 1e6))
  to.gauge('process_resident_memory_bytes', 'Memory in RAM.', one(process.memoryUsage.rss()))
  to.gauge(
    'process_start_time_seconds',
    'When it began, since 1970.',
    one(Math.round(Date.now() / 1000 - process.uptime()))
  )
}
