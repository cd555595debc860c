import type { ShmSession } from '../../adapter/shmipc/index.ts'
import type { ProxyStatistics } from '../statistics.ts'
import { Families } from './family.ts'
import { addProcessMetrics, addProxyMetrics } from './proxy-metrics.ts'
import { addRequestMetrics } from './request-metrics.ts'
import type { RequestSeries } from './request-series.ts'
import { SessionTotalsKeeper } from './session-totals.ts'
import { addShmMetrics } from './shm-metrics.ts'

/** Where the numbers come from. */
export interface MetricsSource {
  statistics(): ProxyStatistics
  readonly series: readonly RequestSeries[]
  readonly sessions: readonly ShmSession[]
}

/** Every metric of one proxy, for GET /metrics. */
export class Metrics {
  readonly #source: MetricsSource
  readonly #totals = new SessionTotalsKeeper()

  constructor(source: MetricsSource) {
    this.#source = source
  }

  collect(): Families {
    const families = new Families()
    const { sessions } = this.#source
    addRequestMetrics(families, this.#source.series)
    addProxyMetrics(families, this.#source.statistics())
    addShmMetrics(families, sessions, this.#totals.update(sessions))
    addProcessMetrics(families)
    return families
  }

  /** In Prometheus' text format 0.0.4. The library is loaded when somebody first asks. */
  async text(): Promise<string> {
    const { Registry } = await import('prom-client')
    const registry = new Registry()
    for (const family of this.collect().all) {
      // A metric is what has a name and can be asked for its values.
      registry.registerMetric({ name: family.name, get: () => family } as never)
    }
    return registry.metrics()
  }
}
