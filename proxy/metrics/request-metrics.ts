/** What is told of requests, under linkerd's names where it has one. */
import type { Families, Sample } from './family.ts'
import { LATENCY_BUCKETS_MS, type LatencyHistogram } from './histogram.ts'
import type { Classification, RequestSeries } from './request-series.ts'

const CLASSIFICATIONS: readonly Classification[] = ['success', 'failure']

export function addRequestMetrics(to: Families, series: readonly RequestSeries[]): void {
  const each = (value: (one: RequestSeries) => number): Sample[] =>
    series.map((one) => ({ labels: { ...one.labels }, value: value(one) }))

  to.counter(
    'request_total',
    'Requests whose head has come.',
    each((one) => one.requests)
  )
  to.counter(
    'response_total',
    'Requests that have ended, by status (0: no response) and whether that is a failure.',
    series.flatMap(responses)
  )
  to.histogram(
    'response_latency_ms',
    'From the head of the request to the end of the response, milliseconds.',
    series.flatMap(latencies)
  )
  to.gauge(
    'request_active',
    'Requests that have not ended.',
    each((one) => one.active)
  )
  to.counter(
    'request_bytes_total',
    'Body bytes from clients.',
    each((one) => one.bytesReceived)
  )
  to.counter(
    'response_bytes_total',
    'Body bytes to clients.',
    each((one) => one.bytesSent)
  )
}

function responses(series: RequestSeries): Sample[] {
  return CLASSIFICATIONS.flatMap((classification) =>
    [...series.responses[classification]].map(([status, value]) => ({
      labels: { ...series.labels, status_code: status, classification },
      value
    }))
  )
}

function latencies(series: RequestSeries): Sample[] {
  return CLASSIFICATIONS.flatMap((classification) => {
    const histogram = series.latency[classification]
    if (histogram.total === 0) return []
    return buckets(histogram, { ...series.labels, classification })
  })
}

function buckets(histogram: LatencyHistogram, labels: Sample['labels']): Sample[] {
  const metricName = 'response_latency_ms_bucket'
  let below = 0
  const samples: Sample[] = histogram.counts.map((count, index) => {
    below += count
    return {
      metricName,
      labels: { ...labels, le: LATENCY_BUCKETS_MS[index] ?? '+Inf' },
      value: below
    }
  })
  samples.push({ metricName: 'response_latency_ms_sum', labels, value: histogram.sumMs })
  samples.push({ metricName: 'response_latency_ms_count', labels, value: below })
  return samples
}
