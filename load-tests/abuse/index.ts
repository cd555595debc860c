/** `npm run abuse`: what becomes of requests when processes are killed and stopped. */
import { randomInt } from 'node:crypto'
import { parseArgs } from 'node:util'
import { sharedMemory } from '../../adapter/index.ts'
import { Workspace } from '../demo/workspace.ts'
import { Abuse, type AbuseOptions } from './abuse.ts'

const HELP = `npm run abuse [-- OPTIONS]

  --rounds N  each disturbance so many times (default 3)
  --rate N    requests per second (default 300)
  --seed N    repeats the requests and the order of an earlier run

Clients, a proxy and an app. Uploads and downloads of 1 B to 1 MiB go on while either process, or
both, are killed and stopped; some clients leave, read slowly, write slowly. Exit code 0: every
request ended whole with its own answer, or while something was disturbed as documented; each time
it recovered by itself; nothing was left behind.
`

const { values } = parseArgs({
  options: {
    help: { type: 'boolean', short: 'h' },
    rounds: { type: 'string', default: '3' },
    rate: { type: 'string', default: '300' },
    seed: { type: 'string' }
  }
})

if (values.help) process.stdout.write(HELP)
else process.exitCode = await run()

async function run(): Promise<number> {
  const options = readOptions()
  const { reason } = sharedMemory()
  const problem = typeof options === 'string' ? options : reason
  if (problem !== undefined) {
    process.stderr.write(`abuse: ${problem}\n`)
    return 2
  }
  const workspace = new Workspace()
  try {
    const problems = await new Abuse(workspace, options as AbuseOptions).run()
    problems.push(...(await workspace.stop()))
    for (const line of problems.slice(0, 50)) process.stdout.write(`${line}\n`)
    return problems.length === 0 ? 0 : 1
  } finally {
    workspace.close()
  }
}

function readOptions(): AbuseOptions | string {
  const rounds = Number(values.rounds)
  if (!Number.isInteger(rounds) || rounds < 1) return '--rounds takes a whole number'
  const rate = Number(values.rate)
  if (!Number.isInteger(rate) || rate < 1) return '--rate takes a whole number'
  const seed = Number(values.seed ?? randomInt(2 ** 32))
  if (!Number.isInteger(seed) || seed < 0 || seed >= 2 ** 32) return '--seed takes 0 to 4294967295'
  return { rounds, rate, seed }
}
