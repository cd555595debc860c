/** `npm run load-test:proxy`: what the proxy promises of memory, starts, crowds and changes. */
import { parseArgs } from 'node:util'
import { sharedMemory } from '../../adapter/index.ts'
import { Workspace } from '../demo/workspace.ts'
import { missingPrograms } from '../sidecar/chains.ts'
import { machineFacts } from '../sidecar/machine.ts'
import { checkChanges } from './check-changes.ts'
import { checkCrowds } from './check-crowds.ts'
import { checkSmallGets } from './check-small-gets.ts'
import { checkStart } from './check-start.ts'
import { type Finding, formatFindings } from './finding.ts'

const HELP = `npm run load-test:proxy [-- --quick] [-- --only NAME]

  --quick      a tenth of the crowds, a third of the rounds
  --only NAME  start, crowds, changes or small-gets

How large an idle proxy is and how soon it listens; 10,000 idle connections, 1,000 slow uploads and
1,000 slow downloads, and what sixteen other clients notice of them; 2,000 POSTs per second while it
is reloaded and drained; its CPU per small GET beside nginx and HAProxy. Prints each target and
whether it was met. Exit code 1 when a request failed.
`

const { values } = parseArgs({
  options: {
    help: { type: 'boolean', short: 'h' },
    quick: { type: 'boolean', default: false },
    only: { type: 'string' }
  }
})
if (values.help) process.stdout.write(HELP)
else process.exitCode = await run(values.quick, values.only)

async function run(quick: boolean, only: string | undefined): Promise<number> {
  const checks: Readonly<Record<string, (workspace: Workspace) => Promise<Finding[]>>> = {
    start: checkStart,
    crowds: (workspace) => checkCrowds(workspace, quick ? 1000 : 10_000, quick ? 100 : 1000),
    changes: (workspace) => checkChanges(workspace, quick ? 3000 : 10_000),
    'small-gets': (workspace) => checkSmallGets(workspace, quick ? 5 : 15)
  }
  const { reason } = sharedMemory()
  const known = only === undefined || Object.hasOwn(checks, only)
  if (reason !== undefined || !known) {
    const problem = reason ?? `--only takes ${Object.keys(checks).join(', ')}, not ${only}`
    process.stderr.write(`load-test:proxy: ${problem}\n`)
    return 2
  }
  for (const line of missingPrograms()) process.stdout.write(`${line}\n`)
  process.stdout.write(`${machineFacts()}\n`)
  const findings: Finding[] = []
  const problems: string[] = []
  for (const [name, check] of Object.entries(checks)) {
    if (only !== undefined && name !== only) continue
    const workspace = new Workspace()
    try {
      findings.push(...(await check(workspace)))
      problems.push(...(await workspace.stop()))
    } finally {
      workspace.close()
    }
  }
  process.stdout.write(`\n${formatFindings(findings)}\n`)
  for (const problem of problems) process.stdout.write(`${problem}\n`)
  const failed = findings.filter(({ what, value }) => what.includes('failed') && value > 0)
  return failed.length + problems.length === 0 ? 0 : 1
}
