/** One thing the proxy promises, and what was seen of it. */
export interface Finding {
  readonly what: string
  readonly value: number
  readonly unit: string
  /** Not more than this. */
  readonly target: number
  /** Figures it was made of, or what went wrong. */
  readonly note: string
}

/** A Markdown table. */
export function formatFindings(findings: readonly Finding[]): string {
  const rows = findings.map(({ what, value, unit, target, note }) => {
    const verdict = value <= target ? 'met' : 'MISSED'
    const measured = `${digits(value)} ${unit}`.trimEnd()
    return `| ${what} | ${measured} | ${digits(target)} | ${verdict} | ${note.trimEnd()} |`
  })
  return ['| | measured | target | | |', '| --- | ---: | ---: | --- | --- |', ...rows].join('\n')
}

/** As many as say something. */
export function digits(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toFixed(Math.abs(value) < 10 ? 2 : 1)
}
