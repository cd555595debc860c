/** `npm run bench:transport`: a stream of shared memory against a Unix socket, without HTTP. */
import { loadavg } from 'node:os'
import { runBench } from '../bench.ts'
import { type Cell, type Plan, plan } from './cells.ts'
import { Exchange } from './exchange.ts'
import { type Measurement, measureAll } from './measure.ts'
import { describeMachine, formatTables, summarize } from './report.ts'

const HELP = `Two processes exchange messages, one there and one back, over a stream of shared memory and over
node:net on a Unix socket in turns. Times are per message, medians of the rounds; "faster" is the
median of the paired rounds' ratios.`

function report({ rounds, roundMs }: Plan, measurements: readonly Measurement[]): string {
  return [
    `${describeMachine()}; ${rounds} pairs of rounds of ${roundMs} ms or more.`,
    `Load average ${loadavg()[0]!.toFixed(1)}: how busy others kept the machine.`,
    'Wall and CPU time (both processes) per message; `faster` and `CPU`: medians of paired ratios.',
    '',
    formatTables(measurements),
    '',
    summarize(measurements)
  ].join('\n')
}

await runBench<Cell, Plan, Measurement>({
  name: 'transport',
  heading: 'Shared memory against a Unix socket',
  help: HELP,
  plan,
  titleOf: ({ group, title }) => `${group} ${title}`,
  async measure(chosen, workspace, progress) {
    const exchange = await Exchange.open(workspace)
    const measurements = await measureAll(chosen, exchange, progress)
    return { measurements, problems: await exchange.close() }
  },
  report
})
