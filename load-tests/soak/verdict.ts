/** Whether a soak that ran to its end was clean. */
import type { SessionStatistics } from '../../adapter/index.ts'
import type { Sample } from './messages.ts'
import type { Side } from './script.ts'

/** Samples are judged from this share of the run on: before it memory grows for good reasons. */
const SETTLED_SHARE = 1 / 4
/** Fewer tell nothing. */
const MIN_SAMPLES = 40
const MAX_GROWTH = 1.2
const MAX_GROWTH_BYTES = 16 * 1024 * 1024

export interface EndReport {
  readonly side: Side
  readonly statistics: SessionStatistics
  readonly samples: readonly Sample[]
}

/** What is wrong with an end that was told to finish. */
export function problemsOf({ side, statistics, samples }: EndReport): string[] {
  const problems: string[] = []
  const { streams, slicesInUse, lists = [] } = statistics
  if (streams > 0) problems.push(`${streams} streams are open`)
  if (slicesInUse > 0) problems.push(`${slicesInUse} slices are in use`)
  for (const { payload, role, allocated, freed } of lists) {
    if (role === 'peers' || allocated === freed) continue
    problems.push(`slices of ${payload} bytes: ${allocated} allocated, ${freed} freed`)
  }
  const growth = growthOf(samples.map(({ anonymousBytes }) => anonymousBytes))
  if (growth !== undefined) problems.push(growth)
  return problems.map((problem) => `${side}: ${problem}`)
}

/** Undefined when memory is flat: the end of the run is about what its second quarter was. */
export function growthOf(bytes: readonly number[]): string | undefined {
  if (bytes.length < MIN_SAMPLES) return undefined
  const from = Math.floor(bytes.length * SETTLED_SHARE)
  const early = mean(bytes.slice(from, 2 * from))
  const late = mean(bytes.slice(-from))
  if (late <= early * MAX_GROWTH || late <= early + MAX_GROWTH_BYTES) return undefined
  return `private memory grew from ${mebibytes(early)} to ${mebibytes(late)}`
}

export function mebibytes(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(0)} MiB`
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}
