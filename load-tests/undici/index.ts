/** `npm run bench:undici`: what a request costs client and app, over shared memory and a socket. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { sharedMemory } from '../../adapter/index.ts'
import { Progress } from '../demo/progress.ts'
import { Workspace } from '../demo/workspace.ts'
import { describeMachine } from '../transport/report.ts'
import { type Plan, plan } from './cells.ts'
import { type Measurement, measureAll, Pairs } from './measure.ts'

const HELP = `npm run bench:undici [-- --quick] [-- --only TEXT]

  --quick      short rounds: shows that it works, not how fast
  --only TEXT  cells whose title contains TEXT; nothing is written to the results then

The same requests to the same Fastify app twice: ShmAgent to the plugin, undici's Pool to node:http
over a Unix socket. CPU per request of either process; "part" is the median of the paired rounds'
ratios. Writes load-tests/results/undici.{json,md}.
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
  return { ...all, cells: all.cells.filter(({ title }) => title.includes(only)) }
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
    const measurements = await measureAll(chosen, await Pairs.start(workspace), progress)
    const problems = await workspace.stop()
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
    'CPU per request, client + app, µs; parts: medians of the paired ratios. Time: median of a request.',
    '',
    '| request | shm | Unix socket | client | client + app | time | target | verdict |',
    '| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |',
    ...measurements.map(row)
  ].join('\n')
}

function row({ cell, costs, client, both, time, met }: Measurement): string {
  const { target, timeTarget } = cell
  return `| ${[
    cell.title,
    `${costs.shm.client.toFixed(1)} + ${costs.shm.app.toFixed(1)}`,
    `${costs.socket.client.toFixed(1)} + ${costs.socket.app.toFixed(1)}`,
    client.toFixed(2),
    both.toFixed(2),
    time.toFixed(2),
    target?.toFixed(2) ?? (timeTarget === undefined ? '' : `time ${timeTarget.toFixed(2)}`),
    met === undefined ? '' : met ? 'met' : 'MISSED'
  ].join(' | ')} |`
}

function save({ rounds, roundMs }: Plan, measurements: readonly Measurement[], text: string): void {
  mkdirSync(RESULTS, { recursive: true })
  const json = { machine: describeMachine(), rounds, roundMs, measurements }
  writeFileSync(new URL('undici.json', RESULTS), `${JSON.stringify(json, undefined, 2)}\n`)
  writeFileSync(new URL('undici.md', RESULTS), `# What a request costs client and app\n\n${text}\n`)
}
