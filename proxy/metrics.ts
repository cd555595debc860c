import type { ProxyStatistics } from './statistics.ts'

/** The statistics in Prometheus' text format. */
export function formatMetrics(statistics: ProxyStatistics): string {
  const { requests, listeners, clusters } = statistics
  const lines: string[] = []
  const family = (name: string, type: 'counter' | 'gauge', help: string) => {
    lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`)
  }
  const sample = (name: string, labels: Readonly<Record<string, string>>, value: number) => {
    const pairs = Object.entries(labels).map(([key, text]) => `${key}="${escapeLabel(text)}"`)
    lines.push(`${name}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${value}`)
  }

  family('shmesh_responses_total', 'counter', 'Requests by the class of their response.')
  for (const [status, count] of Object.entries(requests.status)) {
    sample('shmesh_responses_total', { class: status }, count)
  }
  family('shmesh_requests_active', 'gauge', 'Requests not answered yet.')
  sample('shmesh_requests_active', {}, requests.active)
  family('shmesh_retries_total', 'counter', 'Requests sent once more after an upstream failed.')
  sample('shmesh_retries_total', {}, requests.retries)
  family('shmesh_transport_total', 'counter', 'Answered requests by how they travelled.')
  for (const [transport, count] of Object.entries(requests.transport)) {
    sample('shmesh_transport_total', { transport }, count)
  }
  family('shmesh_failures_total', 'counter', 'Requests the proxy answered itself or cut short.')
  for (const [reason, count] of Object.entries(requests.failures)) {
    sample('shmesh_failures_total', { reason }, count)
  }
  family('shmesh_downstream_connections', 'gauge', 'Open client connections.')
  for (const { name, connections } of listeners) {
    sample('shmesh_downstream_connections', { listener: name }, connections)
  }
  const endpoints = clusters.flatMap(({ name, endpoints }) =>
    endpoints.map((endpoint) => ({
      labels: { cluster: name, endpoint: endpoint.address },
      endpoint
    }))
  )
  family('shmesh_upstream_connections', 'gauge', 'Open upstream connections.')
  for (const { labels, endpoint } of endpoints) {
    sample('shmesh_upstream_connections', labels, endpoint.connections)
  }
  family('shmesh_upstream_requests_total', 'counter', 'Requests an endpoint was chosen for.')
  for (const { labels, endpoint } of endpoints) {
    sample('shmesh_upstream_requests_total', labels, endpoint.requests)
  }
  family('shmesh_upstream_connect_failures_total', 'counter', 'Connections that were not made.')
  for (const { labels, endpoint } of endpoints) {
    sample('shmesh_upstream_connect_failures_total', labels, endpoint.connectFailures)
  }
  return `${lines.join('\n')}\n`
}

function escapeLabel(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}
