import type { Method } from '../demo/cells.ts'
import { type Measurement, spreadOf } from './measure.ts'
import { CHAIN_TITLES, type Contender, contenderTitle, formatBytes, SIZES } from './plan.ts'
import { drawPlot, type Series } from './plot.ts'

const CONNECTIONS = 16
const VALUES = [
  { name: 'cpu', value: 'cpu', title: 'CPU of proxy and app per request', unit: 'µs' },
  { name: 'latency', value: 'p50Ms', title: 'median time of a request', unit: 'ms' }
] as const

/** File name without its prefix -> SVG; none for what was measured at fewer than two sizes. */
export function drawPlots(measurements: readonly Measurement[]): Map<string, string> {
  const plots = new Map<string, string>()
  for (const method of ['GET', 'POST'] as const) {
    for (const { name, value, title, unit } of VALUES) {
      const series = seriesOf(measurements, method, value)
      if (!series.some(({ points }) => points.length > 1)) continue
      const svg = drawPlot({
        title: `${method}: ${title}, ${CONNECTIONS} connections`,
        xTitle: 'body',
        yTitle: unit,
        marks: SIZES.map((bytes) => [bytes, formatBytes(bytes)]),
        series
      })
      plots.set(`${name}-${method.toLowerCase()}`, svg)
    }
  }
  return plots
}

function seriesOf(
  measurements: readonly Measurement[],
  method: Method,
  value: (typeof VALUES)[number]['value']
): Series[] {
  const chosen = measurements.filter(
    (one) =>
      one.method === method &&
      one.connections === CONNECTIONS &&
      one.driver === 'autocannon' &&
      one.scenario === undefined &&
      one.outbound === undefined
  )
  const contenders = new Map<string, Contender>()
  for (const one of chosen) contenders.set(contenderTitle(one), one)
  return [...contenders].map(([title, { chain, kind }]) => ({
    title,
    emphasis: title === CHAIN_TITLES['shmesh-shm'] || title === CHAIN_TITLES.tcp,
    points: chosen
      .filter((one) => one.chain === chain && one.kind === kind)
      .map((one) => [one.bytes, spreadOf(one, value).median] as const)
  }))
}
