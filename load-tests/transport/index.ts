/** `npm run bench:transport`: a stream of shared memory against a Unix socket, without HTTP. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { sharedMemory } from '../../adapter/index.ts'
import { Progress } from '../demo/progress.ts'
import { Workspace } from '../demo/workspace.ts'
import { type Plan, plan } from './cells.ts'
import { Exchange } from './exchange.ts'
import { type Measurement, measureAll } from './measure.ts'
import { describeMachine, formatTables, summarize } from './report.ts'

const HELP = `npm run bench:transport [-- --quick] [-- --only TEXT]

  --quick      three sizes and short rounds: shows that it works, not how fast
  --only TEXT  cells whose group and title contain TEXT; nothing is written to the results then

Two processes exchange messages, one there and one back, over a stream of shared memory and over
node:net on a Unix socket in turns. Times are per message, medians of the rounds; "faster" is the
median of the paired rounds' ratios. Writes load-tests/results/transport.{json,md}.
`
const RESULTS = new URL('../../../load-tests/results/', import.meta.url)

const { values } = parseArgs({
  options: {
    help: { type: 'boolean', short: 'h' },
    quick: { type: 'boolean', default: false },
    only: { type: 'string' }
  }
})
if (values.help) process.stdout.write(HELP)
else process.exitCode = await run(choose(plan(values.quick), values.only), values)

function choose(all: Plan, only: string | undefined): Plan {
  if (only === undefined) return all
  return { ...all, cells: all.cells.filter((cell) => `${cell.group} ${cell.title}`.includes(only)) }
}

async function run(chosen: Plan, { quick, only }: { quick: boolean; only?: string }) {
  const { reason } = sharedMemory()
  if (reason !== undefined) {
    process.stderr.write(`no shared memory: ${reason}\n`)
    return 2
  }
  const workspace = new Workspace()
  const progress = new Progress()
  try {
    const exchange = await Exchange.open(workspace)
    const measurements = await measureAll(chosen, exchange, progress)
    const problems = [...(await exchange.close()), ...(await workspace.stop())]
    progress.clear()
    const text = report(chosen, measurements)
    for (const line of [text, ...problems]) process.stdout.write(`${line}\n`)
    if (!quick && only === undefined) save(chosen, measurements, text)
    return problems.length === 0 ? 0 : 1
  } finally {
    progress.clear()
    workspace.close()
  }
}

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

function save({ rounds, roundMs }: Plan, measurements: readonly Measurement[], text: string): void {
  mkdirSync(RESULTS, { recursive: true })
  const json = { machine: describeMachine(), rounds, roundMs, measurements }
  writeFileSync(new URL('transport.json', RESULTS), `${JSON.stringify(json, undefined, 2)}\n`)
  writeFileSync(
    new URL('transport.md', RESULTS),
    `# Shared memory against a Unix socket\n\n${text}\n`
  )
}
