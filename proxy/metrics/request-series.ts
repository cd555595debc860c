import { LatencyHistogram } from './histogram.ts'

/** Whose requests a series counts. All of it comes from the configuration, none from a client. */
export interface SeriesLabels {
  readonly direction: 'inbound' | 'outbound'
  readonly listener: string
  /** Empty for requests that no route took. */
  readonly cluster: string
  /** The host the routes to that cluster name; `*` when there is none, or more than one. */
  readonly authority: string
}

export type Classification = 'success' | 'failure'

/** What requests of one listener to one cluster came to. */
export class RequestSeries {
  readonly labels: SeriesLabels
  requests = 0
  active = 0
  bytesReceived = 0
  bytesSent = 0
  /** By status, 0 for requests without a response. */
  readonly responses: Readonly<Record<Classification, Map<number, number>>> = {
    success: new Map(),
    failure: new Map()
  }
  readonly latency: Readonly<Record<Classification, LatencyHistogram>> = {
    success: new LatencyHistogram(),
    failure: new LatencyHistogram()
  }

  constructor(labels: SeriesLabels) {
    this.labels = labels
  }

  begun(): void {
    this.requests++
    this.active++
  }

  /**
   * @param status 0 when no response was sent
   * @param failed the proxy answered itself, or cut the response short
   */
  ended(status: number, failed: boolean, durationMs: number): void {
    this.active--
    const classification = failed || status >= 500 || status === 0 ? 'failure' : 'success'
    const responses = this.responses[classification]
    responses.set(status, (responses.get(status) ?? 0) + 1)
    this.latency[classification].observe(durationMs)
  }
}
