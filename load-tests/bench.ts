/** What the `bench:` commands have in common: arguments, the processes around a run, its results. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { sharedMemory } from '../adapter/index.ts'
import { Progress } from './demo/progress.ts'
import { Workspace } from './demo/workspace.ts'
import { describeMachine } from './transport/report.ts'

const RESULTS = new URL('../../load-tests/results/', import.meta.url)
/** The Node.js this is developed on: results of others are kept beside its. */
const FIRST_NODE = '20'

export interface BenchPlan<Cell> {
  readonly cells: readonly Cell[]
  readonly rounds: number
  /** Least duration of a round, ms. */
  readonly roundMs: number
}

export interface Bench<Cell, Plan extends BenchPlan<Cell>, Measurement> {
  /** `npm run bench:NAME`, and the results' file name. */
  readonly name: string
  /** Of the results' page. */
  readonly heading: string
  /** What it does and how to read it, one paragraph. */
  readonly help: string
  plan(quick: boolean): Plan
  /** What `--only` looks for a text in. */
  titleOf(cell: Cell): string
  measure(
    plan: Plan,
    workspace: Workspace,
    progress: Progress
  ): Promise<{
    readonly measurements: readonly Measurement[]
    /** What was left behind. */
    readonly problems: readonly string[]
  }>
  /** What the page says below its heading. */
  report(plan: Plan, measurements: readonly Measurement[]): string
}

/** Does as the command line says, and sets the exit code. */
export async function runBench<Cell, Plan extends BenchPlan<Cell>, Measurement>(
  bench: Bench<Cell, Plan, Measurement>
): Promise<void> {
  const { values } = parseArgs({
    options: {
      help: { type: 'boolean', short: 'h' },
      quick: { type: 'boolean', default: false },
      only: { type: 'string' }
    }
  })
  const { help, quick, only } = values
  if (help) {
    process.stdout.write(helpOf(bench.name, bench.help))
    return
  }
  const { reason } = sharedMemory()
  if (reason !== undefined) {
    process.stderr.write(`no shared memory: ${reason}\n`)
    process.exitCode = 2
    return
  }
  const all = bench.plan(quick)
  const cells = all.cells.filter((cell) => bench.titleOf(cell).includes(only ?? ''))
  const plan = { ...all, cells }
  const workspace = new Workspace()
  const progress = new Progress()
  try {
    const { measurements, problems } = await bench.measure(plan, workspace, progress)
    const left = [...problems, ...(await workspace.stop())]
    progress.clear()
    const text = bench.report(plan, measurements)
    for (const line of [text, ...left]) process.stdout.write(`${line}\n`)
    if (!quick && only === undefined) save(bench, plan, measurements, text)
    process.exitCode = left.length === 0 ? 0 : 1
  } finally {
    progress.clear()
    workspace.close()
  }
}

function helpOf(name: string, paragraph: string): string {
  return `npm run bench:${name} [-- --quick] [-- --only TEXT]

  --quick      short rounds: shows that it works, not how fast
  --only TEXT  cells whose title contains TEXT; nothing is written to the results then

${paragraph}
Writes load-tests/results/${name}.{json,md}; with another Node.js than ${FIRST_NODE}, ${name}-nodeN.
`
}

function save<Cell, Plan extends BenchPlan<Cell>, Measurement>(
  { name, heading }: Bench<Cell, Plan, Measurement>,
  { rounds, roundMs }: Plan,
  measurements: readonly Measurement[],
  text: string
): void {
  const [major] = process.versions.node.split('.')
  const file = major === FIRST_NODE ? name : `${name}-node${major}`
  mkdirSync(RESULTS, { recursive: true })
  const json = { machine: describeMachine(), rounds, roundMs, measurements }
  writeFileSync(new URL(`${file}.json`, RESULTS), `${JSON.stringify(json, undefined, 2)}\n`)
  writeFileSync(new URL(`${file}.md`, RESULTS), `# ${heading}\n\n${text}\n`)
}
