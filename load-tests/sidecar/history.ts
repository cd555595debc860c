/** What has become worse since the results that are kept. */
import { readFileSync } from 'node:fs'
import type { Measurement } from './measure.ts'
import { type Spread, spread } from './measure.ts'
import { cellTitle, contenderTitle } from './plan.ts'

export interface Change {
  readonly cell: string
  readonly contender: string
  /** CPU as a multiple of the app's alone over TCP in the same run. */
  readonly before: Spread
  readonly after: Spread
}

export interface Results {
  readonly machine: string
  readonly measurements: readonly Measurement[]
}

/** By how much more a cell must cost to be named. */
const NOTABLE = 1.1

/** Undefined when there is none. */
export function readResults(file: URL): Results | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Results
  } catch {
    return undefined
  }
}

/**
 * Contenders of ours that cost more than before, beyond what the rounds differ by. What the machine
 * is like shows in the app alone as well, so multiples of that are compared.
 */
export function regressions(
  before: readonly Measurement[],
  after: readonly Measurement[]
): Change[] {
  return after.flatMap((one) => {
    if (!one.chain.startsWith('shmesh')) return []
    const past = relativeCost(
      before,
      before.find((other) => isSame(one, other))
    )
    const now = relativeCost(after, one)
    if (past === undefined || now === undefined) return []
    if (now.median < NOTABLE * past.median || now.low <= past.high) return []
    return [{ cell: cellTitle(one), contender: contenderTitle(one), before: past, after: now }]
  })
}

export function formatRegressions(changes: readonly Change[]): string {
  if (changes.length === 0) return 'Nothing of ours costs notably more than in the last results.'
  const lines = changes.map(
    ({ cell, contender, before, after }) =>
      `- ${cell}, ${contender}: ${format(before)} -> ${format(after)} x app over TCP`
  )
  return ['Costs more than in the last results:', '', ...lines].join('\n')
}

function relativeCost(all: readonly Measurement[], one?: Measurement): Spread | undefined {
  if (one === undefined) return undefined
  const alone = all.find((other) => other.chain === 'tcp' && cellTitle(other) === cellTitle(one))
  if (alone === undefined || alone.rounds.length !== one.rounds.length) return undefined
  return spread(one.rounds.map(({ cpu }, i) => cpu / alone.rounds[i]!.cpu))
}

function isSame(one: Measurement, other: Measurement): boolean {
  return one.chain === other.chain && one.kind === other.kind && cellTitle(one) === cellTitle(other)
}

function format({ median, low, high }: Spread): string {
  return `${median.toFixed(2)} (${low.toFixed(2)}-${high.toFixed(2)})`
}
