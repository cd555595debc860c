import { cpus, release } from 'node:os'
import type { Measurement } from './measure.ts'

const COLUMNS: readonly { title: string; cell: (m: Measurement) => string }[] = [
  { title: 'message', cell: (m) => m.cell.title },
  { title: 'shm µs', cell: (m) => decimal(m.load.wallMicroseconds) },
  { title: 'against µs', cell: (m) => decimal(m.baseline.wallMicroseconds) },
  { title: 'shm CPU µs', cell: (m) => decimal(m.load.cpuMicroseconds) },
  { title: 'against CPU µs', cell: (m) => decimal(m.baseline.cpuMicroseconds) },
  { title: 'CPU', cell: (m) => times(m.cpuRatio) },
  { title: 'faster', cell: (m) => times(m.ratio) },
  { title: 'quartiles', cell: (m) => `${decimal(m.ratioLow)}-${decimal(m.ratioHigh)}` },
  { title: 'target', cell: (m) => (m.cell.target === undefined ? '' : times(m.cell.target)) },
  { title: 'verdict', cell: (m) => (m.met === undefined ? '' : m.met ? 'met' : 'MISSED') }
]

/** Markdown, in columns that are straight as text too. */
export function formatTables(measurements: readonly Measurement[]): string {
  const titles = COLUMNS.map(({ title }) => title)
  const rows = measurements.map((m) => COLUMNS.map(({ cell }) => cell(m)))
  const widths = titles.map((title, i) => Math.max(title.length, ...rows.map((r) => r[i]!.length)))
  const line = (cells: readonly string[]) =>
    `| ${cells.map((text, i) => (i === 0 ? text.padEnd(widths[i]!) : text.padStart(widths[i]!))).join(' | ')} |`
  const rule = `| ${widths.map((width, i) => `${'-'.repeat(width - 1)}${i === 0 ? '-' : ':'}`).join(' | ')} |`
  const lines: string[] = []
  let group: string | undefined
  for (const [i, { cell }] of measurements.entries()) {
    if (cell.group !== group) lines.push('', `**${cell.group}**`, '', line(titles), rule)
    group = cell.group
    lines.push(line(rows[i]!))
  }
  return lines.slice(1).join('\n')
}

export function describeMachine(): string {
  const model = cpus()[0]?.model.trim() ?? process.arch
  return `${cpus().length} x ${model}, Linux ${release()}, Node ${process.versions.node}`
}

export function summarize(measurements: readonly Measurement[]): string {
  const judged = measurements.filter(({ met }) => met !== undefined)
  const met = judged.filter((measurement) => measurement.met)
  return `${met.length} of ${judged.length} targets met`
}

function times(value: number): string {
  return `${decimal(value)} x`
}

function decimal(value: number): string {
  return value < 10 ? value.toFixed(2) : value < 100 ? value.toFixed(1) : value.toFixed(0)
}
