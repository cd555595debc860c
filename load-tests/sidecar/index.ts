/** `npm run load-test`: what a sidecar costs, ours and others. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { sharedMemory } from '../../adapter/index.ts'
import { Progress } from '../demo/progress.ts'
import { Workspace } from '../demo/workspace.ts'
import { availableChains, missingPrograms, programFile, startChain } from './chains.ts'
import { formatRegressions, type Results, readResults, regressions } from './history.ts'
import { judge } from './judge.ts'
import { machineFacts } from './machine.ts'
import { Bench, type Measurement } from './measure.ts'
import { cellTitle, chainsOf, type Extent, type Plan, planOf } from './plan.ts'
import { drawPlots } from './plots.ts'
import { describePlan, formatResults, formatVerdicts, summarize } from './report.ts'
import type { Verdict } from './verdict.ts'

const HELP = `npm run load-test [-- --quick | --full] [-- --only TEXT] [-- --rounds N]

  --quick      about 3 minutes: the sizes and proxies that matter most
  --full       hours: every size with 1, 16 and 256 connections, long rounds
  --only TEXT  cells whose title contains TEXT, as "GET 1 MiB x 16"
  --rounds N   of each contender of a cell, instead of 5 (3 with --quick, 11 with --full)

A Fastify app alone, behind nginx, HAProxy, @fastify/http-proxy and shmesh, each chain with processes
of its own. The chains take turns, round by round. Writes load-tests/results/sidecar-nodeNN.{json,md}
and plots unless --quick or --only is given, and names what costs more than in the results there.
`
const RESULTS = new URL('../../../load-tests/results/', import.meta.url)

const { values } = parseArgs({
  options: {
    help: { type: 'boolean', short: 'h' },
    quick: { type: 'boolean', default: false },
    full: { type: 'boolean', default: false },
    only: { type: 'string' },
    rounds: { type: 'string' }
  }
})
if (values.help) process.stdout.write(HELP)
else
  process.exitCode = await run(
    values.quick ? 'quick' : values.full ? 'full' : 'default',
    values.only,
    values.rounds
  )

async function run(extent: Extent, only?: string, rounds?: string): Promise<number> {
  if (rounds !== undefined && !/^[1-9]\d?$/.test(rounds)) {
    process.stderr.write(`--rounds must be a number from 1 to 99, not ${rounds}\n`)
    return 2
  }
  const { reason } = sharedMemory()
  const progress = new Progress()
  if (reason !== undefined) progress.print(`without shared memory: ${reason}`)
  for (const line of missingPrograms()) progress.print(line)
  const whole = planOf(
    extent,
    availableChains(reason === undefined),
    programFile('wrk') !== undefined
  )
  const cells = whole.cells.filter((cell) => only === undefined || cellTitle(cell).includes(only))
  const plan = { ...whole, cells, ...(rounds !== undefined && { rounds: Number(rounds) }) }
  const machine = machineFacts()
  const workspace = new Workspace()
  try {
    const { measurements, errors, idleSessions } = await measureAll(plan, workspace, progress)
    const problems = await workspace.stop()
    progress.clear()
    const verdicts = judge(measurements, idleSessions)
    const file = resultsFile('json')
    const previous = readResults(file)
    const text = [
      `${machine}; ${describePlan(plan)}`,
      formatResults(measurements),
      formatVerdicts(verdicts),
      summarize(verdicts),
      ...(previous === undefined
        ? []
        : [formatRegressions(regressions(previous.measurements, measurements))])
    ].join('\n\n')
    process.stdout.write(`${text}\n`)
    for (const problem of problems) process.stdout.write(`${problem}\n`)
    if (errors > 0) process.stdout.write(`${errors} answers were wrong or missing\n`)
    if (extent !== 'quick' && only === undefined)
      save({ machine, ...plan, cells: undefined, verdicts, measurements }, text)
    return problems.length + errors === 0 ? 0 : 1
  } finally {
    progress.clear()
    workspace.close()
  }
}

async function measureAll(plan: Plan, workspace: Workspace, progress: Progress) {
  const chains = await Promise.all(chainsOf(plan).map((chain) => startChain(workspace, chain)))
  const bench = new Bench(
    chains,
    workspace.start('autocannon', './driver.js', []),
    workspace.start('scenarios', new URL('./scenario-driver.js', import.meta.url).href, [])
  )
  const idleSessions = await bench.idleSessions()
  let errors = await bench.warmUp(plan, progress)
  const measurements: Measurement[] = []
  for (const [index, cell] of plan.cells.entries()) {
    const title = `${index + 1}/${plan.cells.length} ${cellTitle(cell)}`
    const measured = await bench.measure(cell, plan, (round) =>
      progress.update(`${title}  ${round}`)
    )
    measurements.push(...measured)
    progress.step(title)
  }
  for (const { rounds } of measurements) for (const round of rounds) errors += round.errors
  return { measurements, errors, idleSessions }
}

interface Saved extends Results, Omit<Plan, 'cells'> {
  readonly cells: undefined
  readonly verdicts: readonly Verdict[]
}

function save(results: Saved, text: string): void {
  mkdirSync(RESULTS, { recursive: true })
  writeFileSync(resultsFile('json'), `${JSON.stringify(results)}\n`)
  writeFileSync(resultsFile('md'), `# What a sidecar costs\n\n${text}\n`)
  for (const [name, svg] of drawPlots(results.measurements)) {
    writeFileSync(resultsFile('svg', `-${name}`), svg)
  }
}

/** Results of different Nodes are kept beside each other. */
function resultsFile(extension: string, part = ''): URL {
  const [major] = process.versions.node.split('.')
  return new URL(`sidecar-node${major}${part}.${extension}`, RESULTS)
}
