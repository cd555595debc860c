import { ExchangeRecord } from './access-log/exchange-record.ts'
import type { ProxyContext } from './context.ts'
import type { Exchange } from './exchange.ts'
import type { RequestSeries } from './metrics/request-series.ts'

/** Counts a request whose head has come. */
export function countBegun({ counters }: ProxyContext, series: RequestSeries): void {
  counters.total++
  counters.active++
  series.begun()
}

/**
 * Counts and logs a request that has been answered, or never will be. Once for each.
 *
 * @param now as performance.now() counts
 */
export function countEnded(
  { counters, accessLog }: ProxyContext,
  series: RequestSeries,
  exchange: Exchange,
  now: number
): void {
  const { status, bytes } = exchange.reply
  const failed = exchange.failure !== undefined
  const durationMs = now - exchange.startedAt
  counters.active--
  counters.answered(status)
  if (exchange.label !== undefined) counters.transports[exchange.label]++
  series.ended(status, failed, durationMs)
  series.bytesReceived += exchange.upload.received
  series.bytesSent += bytes
  if (accessLog?.takes(status, failed)) accessLog.write(new ExchangeRecord(exchange, durationMs))
}
