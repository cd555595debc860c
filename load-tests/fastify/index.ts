/** `npm run bench:fastify`: what a request costs the app, over shared memory and a Unix socket. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { sharedMemory } from '../../adapter/index.ts'
import { Progress } from '../demo/progress.ts'
import { Workspace } from '../demo/workspace.ts'
import { describeMachine } from '../transport/report.ts'
import { type Plan, plan } from './cells.ts'
import { Apps, type Measurement, measureAll } from './measure.ts'

const HELP = `npm run bench:fastify [-- --quick] [-- --only TEXT]

  --quick      short rounds: shows that it works, not how fast
  --only TEXT  cells whose title contains TEXT; nothing is written to the results then

The same Fastify app twice: over shared memory with the plugin, over a Unix socket with node:http.
CPU is that of the app's process alone, per request; "part" is the median of the paired rounds'
ratios. Writes load-tests/results/fastify.{json,md}.
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
    const apps = await Apps.start(workspace)
    const measurements = await measureAll(chosen, apps, progress)
    const problems = [...(await apps.close()), ...(await workspace.stop())]
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
    'CPU of the app per request, µs; `part`: median of the paired ratios, with quartiles.',
    '',
    '| request | shm | Unix socket | part | quartiles | target | verdict |',
    '| --- | ---: | ---: | ---: | ---: | ---: | ---: |',
    ...measurements.map(row)
  ].join('\n')
}

function row(m: Measurement): string {
  return `| ${[
    m.title,
    m.shmMicroseconds.toFixed(2),
    m.socketMicroseconds.toFixed(2),
    m.ratio.toFixed(2),
    `${m.ratioLow.toFixed(2)}-${m.ratioHigh.toFixed(2)}`,
    m.target.toFixed(2),
    m.met ? 'met' : 'MISSED'
  ].join(' | ')} |`
}

function save({ rounds, roundMs }: Plan, measurements: readonly Measurement[], text: string): void {
  mkdirSync(RESULTS, { recursive: true })
  const json = { machine: describeMachine(), rounds, roundMs, measurements }
  writeFileSync(new URL('fastify.json', RESULTS), `${JSON.stringify(json, undefined, 2)}\n`)
  writeFileSync(new URL('fastify.md', RESULTS), `# What a request costs the app\n\n${text}\n`)
}
