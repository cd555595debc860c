/** The results as Markdown, which a terminal shows as well. */

import { type Measurement, spreadOf } from './measure.ts'
import { cellTitle, contenderTitle, type Plan } from './plan.ts'
import type { Verdict } from './verdict.ts'

type Column = readonly [title: string, cell: (measurement: Measurement) => string]

const MIB = 1024 * 1024
const NONE = ''

const COLUMNS: readonly Column[] = [
  ['', contenderTitle],
  ['CPU µs', (m) => decimal(spreadOf(m, 'cpu').median)],
  ['quartiles', (m) => range(m, 'cpu')],
  ['proxy user + sys', (m) => `${of(m, 'proxyUser')} + ${of(m, 'proxySystem')}`],
  ['app user + sys', (m) => `${of(m, 'appUser')} + ${of(m, 'appSystem')}`],
  ['req/s', (m) => count(spreadOf(m, 'perSecond').median)],
  ['p50 ms', (m) => of(m, 'p50Ms')],
  ['p99', (m) => of(m, 'p99Ms')],
  ['p99.9', (m) => of(m, 'p999Ms')],
  ['switches', (m) => of(m, 'switches')],
  ['wake-ups', (m) => optional(m, (round) => round.wakeUps, decimal)],
  ['kernel bytes', (m) => optional(m, (round) => round.kernelBytes, count)],
  ['RSS MiB proxy', (m) => optional(m, (round) => round.proxyRssBytes, mebibytes)],
  ['app', (m) => optional(m, (round) => round.appRssBytes, mebibytes)],
  ['driver CPU', (m) => optional(m, (round) => round.driverCpu, decimal)],
  ['transport', transports],
  ['errors', (m) => count(m.rounds.reduce((sum, { errors }) => sum + errors, 0))]
]

export function formatResults(measurements: readonly Measurement[]): string {
  const cells = new Map<string, Measurement[]>()
  for (const measurement of measurements) {
    const title = cellTitle(measurement)
    cells.set(title, [...(cells.get(title) ?? []), measurement])
  }
  return [...cells]
    .map(
      ([title, rows]) =>
        `**${title}**\n\n${table(
          rows.map((m) => COLUMNS.map(([, cell]) => cell(m))),
          COLUMNS.map(([name]) => name)
        )}`
    )
    .join('\n\n')
}

export function formatVerdicts(verdicts: readonly Verdict[]): string {
  const titles = ['target', 'cell', 'value', 'quartiles', 'goal', 'at least', 'verdict', 'against']
  const judged = verdicts.filter(({ value }) => value !== undefined)
  const rows = judged.map(({ rule, cell, value, goal, atLeast, more, verdict, note }) => [
    rule,
    cell,
    value === undefined ? NONE : value.median.toFixed(2),
    value === undefined || value.low === value.high
      ? NONE
      : `${value.low.toFixed(2)}-${value.high.toFixed(2)}`,
    `${more ? '>=' : '<='} ${goal}`,
    String(atLeast),
    verdict,
    note
  ])
  return table(rows, titles)
}

export function summarize(verdicts: readonly Verdict[]): string {
  const number = (wanted: Verdict['verdict']) =>
    verdicts.filter(({ verdict }) => verdict === wanted).length
  return (
    `${number('goal')} goals reached, ${number('at least')} at least what is acceptable, ` +
    `${number('MISSED')} missed, ${number('not measured')} not measured`
  )
}

export function describePlan({ rounds, roundMs }: Plan): string {
  return (
    `${rounds} rounds of ${roundMs} ms, contenders in turns; medians. ` +
    'CPU: proxy and app, all threads, µs per request.'
  )
}

function table(rows: readonly (readonly string[])[], titles: readonly string[]): string {
  const widths = titles.map((title, i) =>
    Math.max(title.length, 3, ...rows.map((row) => row[i]!.length))
  )
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join(' | ')} |`
  const rule = widths.map((width, i) => (i === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`))
  return [line(titles), line(rule), ...rows.map(line)].join('\n')
}

function of(measurement: Measurement, value: Parameters<typeof spreadOf>[1]): string {
  return decimal(spreadOf(measurement, value).median)
}

function range(measurement: Measurement, value: Parameters<typeof spreadOf>[1]): string {
  const { low, high } = spreadOf(measurement, value)
  return `${decimal(low)}-${decimal(high)}`
}

/** Of the last round. */
function optional(
  { rounds }: Measurement,
  value: (round: Measurement['rounds'][number]) => number | undefined,
  format: (value: number) => string
): string {
  const found = value(rounds.at(-1)!)
  return found === undefined ? NONE : format(found)
}

function transports({ rounds }: Measurement): string {
  const total: Record<string, number> = {}
  for (const round of rounds) {
    for (const [label, number] of Object.entries(round.transports)) {
      total[label] = (total[label] ?? 0) + number
    }
  }
  const all = Object.values(total).reduce((sum, number) => sum + number, 0)
  return Object.entries(total)
    .filter(([, number]) => number > 0)
    .map(([label, number]) =>
      number === all ? label : `${label} ${((number / all) * 100).toFixed(1)} %`
    )
    .join(', ')
}

function mebibytes(bytes: number): string {
  return (bytes / MIB).toFixed(0)
}

function decimal(value: number): string {
  if (!Number.isFinite(value)) return NONE
  return value < 10 ? value.toFixed(2) : value < 100 ? value.toFixed(1) : value.toFixed(0)
}

function count(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}
