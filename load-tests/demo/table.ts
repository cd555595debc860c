import { type Cell, CHAIN_TITLES, type Chain, cellTitle } from './cells.ts'
import type { Measurement } from './measure.ts'

const NONE = '-'

interface Column {
  readonly group: string
  readonly title: string
  readonly cell: (measurement: Measurement) => string
}

const COLUMNS: readonly Column[] = [
  { group: '', title: 'req/s', cell: (m) => count((m.requests / m.elapsedMs) * 1000) },
  { group: 'latency, ms', title: 'p50', cell: (m) => decimal(m.p50Ms) },
  { group: 'latency, ms', title: 'p99', cell: (m) => decimal(m.p99Ms) },
  { group: 'CPU µs/request', title: 'proxy', cell: (m) => perRequest(m, proxyCpu(m)) },
  { group: 'CPU µs/request', title: 'app', cell: (m) => perRequest(m, m.appCpuMs) },
  { group: 'CPU µs/request', title: 'sum', cell: (m) => perRequest(m, cpuOf(m)) },
  { group: 'RSS, MiB', title: 'proxy', cell: (m) => mebibytes(m.proxyRssBytes) },
  { group: 'RSS, MiB', title: 'app', cell: (m) => mebibytes(m.appRssBytes) },
  { group: '', title: 'transport', cell: (m) => shares(m.transports) },
  { group: '', title: 'errors', cell: (m) => count(m.errors) }
]

/** One block of rows per cell. */
export function formatTable(measurements: readonly Measurement[]): string {
  const titles = measurements.map((m) => `  ${CHAIN_TITLES[m.chain]}`)
  const labelWidth = Math.max(...titles.map((title) => title.length))
  const texts = measurements.map((m) => COLUMNS.map((column) => column.cell(m)))
  const widths = COLUMNS.map((column, i) =>
    Math.max(column.title.length, ...texts.map((row) => row[i]!.length))
  )
  widenGroups(widths)

  const line = (label: string, cells: readonly string[]) =>
    [label.padEnd(labelWidth), ...cells.map((text, i) => text.padStart(widths[i]!))].join('  ')
  const lines = [
    groupLine(labelWidth, widths),
    line(
      '',
      COLUMNS.map(({ title }) => title)
    )
  ]
  let cell: Cell | undefined
  for (const [i, measurement] of measurements.entries()) {
    if (measurement.cell !== cell) lines.push(cellTitle(measurement.cell))
    cell = measurement.cell
    lines.push(line(titles[i]!, texts[i]!))
  }
  return lines.map((text) => text.trimEnd()).join('\n')
}

/**
 * CPU of proxy and app over a chain, divided by that of the app without a sidecar: the geometric
 * mean over the cells measured over both. Undefined when there are none.
 */
export function relativeCpu(
  measurements: readonly Measurement[],
  chain: Chain
): number | undefined {
  let logarithms = 0
  let cells = 0
  for (const one of measurements) {
    if (one.chain !== chain) continue
    const base = measurements.find((m) => m.chain === 'tcp' && m.cell === one.cell)
    const ratio = costOf(one) / (base === undefined ? Number.NaN : costOf(base))
    if (!Number.isFinite(ratio) || ratio <= 0) continue
    logarithms += Math.log(ratio)
    cells++
  }
  return cells === 0 ? undefined : Math.exp(logarithms / cells)
}

function costOf(measurement: Measurement): number {
  return (cpuOf(measurement) ?? Number.NaN) / measurement.requests
}

/** Of a chain without proxy: the app's alone. */
function cpuOf(measurement: Measurement): number | undefined {
  if (measurement.appCpuMs === undefined) return undefined
  if (measurement.chain === 'tcp') return measurement.appCpuMs
  return measurement.proxyCpuMs === undefined
    ? undefined
    : measurement.appCpuMs + measurement.proxyCpuMs
}

function proxyCpu(measurement: Measurement): number | undefined {
  return measurement.chain === 'tcp' ? undefined : measurement.proxyCpuMs
}

/** A group's title must fit over its columns. */
function widenGroups(widths: number[]): void {
  for (const { first, last, title } of groups()) {
    const missing = title.length - spanOf(widths, first, last)
    if (missing > 0) widths[first]! += missing
  }
}

function groupLine(labelWidth: number, widths: readonly number[]): string {
  let line = ' '.repeat(labelWidth)
  for (const { first, last, title } of groups()) {
    line += `  ${title.padStart(spanOf(widths, first, last))}`
  }
  return line
}

function groups(): { first: number; last: number; title: string }[] {
  const found: { first: number; last: number; title: string }[] = []
  for (const [i, { group }] of COLUMNS.entries()) {
    const current = found.at(-1)
    if (current !== undefined && group !== '' && current.title === group) current.last = i
    else found.push({ first: i, last: i, title: group })
  }
  return found
}

function spanOf(widths: readonly number[], first: number, last: number): number {
  const span = widths.slice(first, last + 1)
  return span.reduce((sum, width) => sum + width) + 2 * (span.length - 1)
}

function perRequest(measurement: Measurement, cpuMs: number | undefined): string {
  if (cpuMs === undefined || measurement.requests === 0) return NONE
  return decimal((cpuMs * 1000) / measurement.requests)
}

function mebibytes(bytes: number | undefined): string {
  return bytes === undefined ? NONE : (bytes / 1024 / 1024).toFixed(0)
}

function decimal(value: number): string {
  if (Number.isNaN(value)) return NONE
  return value < 10 ? value.toFixed(2) : value < 100 ? value.toFixed(1) : value.toFixed(0)
}

function count(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}

/** `shm 100 %`, or the labels by their share. */
function shares(transports: Readonly<Record<string, number>>): string {
  const entries = Object.entries(transports).filter(([, requests]) => requests > 0)
  const total = entries.reduce((sum, [, requests]) => sum + requests, 0)
  if (total === 0) return NONE
  const texts = entries.map(([label, requests]) => {
    const percent = (requests / total) * 100
    // Only all of them are 100 %.
    return `${label} ${percent === 100 ? '100' : Math.min(percent, 99.9).toFixed(1)} %`
  })
  return texts.join(', ')
}
