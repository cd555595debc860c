import type { Progress } from '../demo/progress.ts'
import type { Cell, Load, Plan } from './cells.ts'
import type { Exchange, Round } from './exchange.ts'
import { median, quantile } from './statistics.ts'

/** Medians over the rounds of one load; per message, the way there or back. */
export interface Cost {
  readonly wallMicroseconds: number
  readonly cpuMicroseconds: number
}

export interface Measurement {
  readonly cell: Cell
  readonly load: Cost
  readonly baseline: Cost
  /**
   * Wall time of the baseline over that of the load, round by round: rounds of a pair follow each
   * other, so that what other processes take from this machine is taken from both.
   */
  readonly ratio: number
  readonly ratioLow: number
  readonly ratioHigh: number
  readonly cpuRatio: number
  /** Undefined without a target. */
  readonly met: boolean | undefined
}

/** Rounds before any that counts: compiled code, used memory. */
const WARM_UP_ROUNDS = 2

export async function measureAll(
  plan: Plan,
  exchange: Exchange,
  progress: Progress
): Promise<Measurement[]> {
  const measurements: Measurement[] = []
  for (const [index, cell] of plan.cells.entries()) {
    progress.update(`${index + 1}/${plan.cells.length} ${cell.group}: ${cell.title}`)
    measurements.push(await measure(cell, plan, exchange))
  }
  return measurements
}

async function measure(cell: Cell, plan: Plan, exchange: Exchange): Promise<Measurement> {
  // A slow reader begins anew in each round: long ones, of which its beginning is a small part.
  const roundMs = plan.roundMs * (cell.load.slowReader ? 4 : 1)
  const exchanges = {
    load: await calibrate(cell.load, roundMs, exchange),
    baseline: await calibrate(cell.baseline, roundMs, exchange)
  }
  const loads: Round[] = []
  const baselines: Round[] = []
  for (let round = -WARM_UP_ROUNDS; round < plan.rounds; round++) {
    // Who goes first must not matter.
    const pair = round % 2 === 0 ? (['load', 'baseline'] as const) : (['baseline', 'load'] as const)
    for (const which of pair) {
      const result = await exchange.run(cell[which], exchanges[which])
      if (round >= 0) (which === 'load' ? loads : baselines).push(result)
    }
  }
  const ratios = loads.map((load, i) => wall(baselines[i]!) / wall(load))
  const ratio = median(ratios)
  return {
    cell,
    load: costOf(loads),
    baseline: costOf(baselines),
    ratio,
    ratioLow: quantile(ratios, 0.25),
    ratioHigh: quantile(ratios, 0.75),
    cpuRatio: median(loads.map((load, i) => cpu(baselines[i]!) / cpu(load))),
    met: cell.target === undefined ? undefined : ratio >= cell.target
  }
}

/** Exchanges per connection that take at least `roundMs`. */
async function calibrate(load: Load, roundMs: number, exchange: Exchange): Promise<number> {
  let exchanges = 1
  for (;;) {
    const { elapsedMicroseconds } = await exchange.run(load, exchanges)
    const factor = (roundMs * 1000) / elapsedMicroseconds
    if (factor <= 1) return exchanges
    // The first messages are slow ones: not at once to what they promise.
    exchanges = Math.ceil(exchanges * Math.min(4, 1.2 * factor))
  }
}

function costOf(rounds: readonly Round[]): Cost {
  return { wallMicroseconds: median(rounds.map(wall)), cpuMicroseconds: median(rounds.map(cpu)) }
}

function wall({ elapsedMicroseconds, messages }: Round): number {
  return elapsedMicroseconds / messages
}

function cpu({ cpuMicroseconds, messages }: Round): number {
  return cpuMicroseconds / messages
}
