import { type Measurement, type Spread, spread } from './measure.ts'

/** What a rule says of one cell. */
export interface Verdict {
  readonly rule: string
  readonly cell: string
  /** Undefined: not measured, in this plan or on this machine. */
  readonly value: Spread | undefined
  /** What is aimed at, and the least that is acceptable. */
  readonly goal: number
  readonly atLeast: number
  /** Larger is better. */
  readonly more: boolean
  readonly verdict: 'goal' | 'at least' | 'MISSED' | 'not measured'
  readonly note: string
}

/** What of a round is compared. */
export type Value = 'cpu' | 'perSecond' | 'p50Ms' | 'p99Ms'

/** Of the rounds that followed each other. */
export function ratios(
  own?: Measurement,
  other?: Measurement,
  value: Value = 'cpu'
): Spread | undefined {
  if (own === undefined || other === undefined) return undefined
  return spread(own.rounds.map((round, i) => round[value] / other.rounds[i]![value]))
}

export function verdict(
  rule: Pick<Verdict, 'rule' | 'cell' | 'goal' | 'atLeast' | 'more'>,
  value: Spread | undefined,
  note: string
): Verdict {
  const { goal, atLeast, more } = rule
  const meets = (limit: number): boolean =>
    value !== undefined && (more ? value.median >= limit : value.median <= limit)
  const reached = meets(goal) ? 'goal' : meets(atLeast) ? 'at least' : 'MISSED'
  return { ...rule, value, note, verdict: value === undefined ? 'not measured' : reached }
}
