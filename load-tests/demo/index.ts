/**
 * `shmesh demo`: an app, two proxies and autocannon, each a process of its own, and what the way
 * between proxy and app costs.
 */
import { cpus } from 'node:os'
import { sharedMemory } from '../../adapter/index.ts'
import { BODY_BYTES } from './bodies.ts'
import { type Chain, fullPlan, type Plan, quickPlan } from './cells.ts'
import { type ChaosResult, runChaos } from './chaos.ts'
import { type Measurement, measureAll, type Route } from './measure.ts'
import { Progress } from './progress.ts'
import { missingBuildTools, missingPackages } from './requirements.ts'
import { startApp, startProxy } from './servers.ts'
import { formatTable, relativeCpu } from './table.ts'
import { Workspace } from './workspace.ts'

const HELP = `shmesh demo: what a sidecar costs, without and with shared memory

  --quick   16 KiB only and seconds instead of minutes: shows that it works, not how fast

Starts a Fastify app and the proxy as processes of their own and drives them with autocannon over
TCP without proxy, through the proxy over a Unix socket, and through the proxy over shared memory.
Leaves no process and no file behind. Exit code 0: every request had its answer, byte for byte.
`

/** Resolves to the exit code. */
export async function runDemo(args: string[]): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) {
    process.stdout.write(HELP)
    return 0
  }
  const unknown = args.find((arg) => arg !== '--quick')
  const problem =
    unknown === undefined ? missingPackages() : `unknown option ${unknown}; the only one is --quick`
  if (problem !== undefined) {
    process.stderr.write(`shmesh: ${problem}\n`)
    return 2
  }
  const plan = args.includes('--quick') ? quickPlan() : fullPlan(BODY_BYTES)
  const workspace = new Workspace()
  const progress = new Progress()
  try {
    return await run(workspace, plan, progress)
  } catch (error) {
    progress.clear()
    process.stderr.write(`shmesh: the demo failed: ${(error as Error).message}\n`)
    return 1
  } finally {
    workspace.close()
  }
}

async function run(workspace: Workspace, plan: Plan, progress: Progress): Promise<number> {
  const { reason } = sharedMemory()
  progress.print(describeMachine(plan))
  if (reason !== undefined) {
    const install = missingBuildTools()
    const hint = install === undefined ? '' : `; to build the addon, first run: ${install}`
    progress.print(`without shared memory: ${reason}${hint}`)
  }
  progress.update('starting')

  const routes = await startRoutes(workspace, reason === undefined)
  const driver = workspace.start('autocannon', './driver.js', [])
  const measurements = await measureAll(plan, routes, driver, progress)
  progress.print(`\n${formatTable(measurements)}\n`)

  progress.print(`1 MiB uploads to two workers, ${plan.chaosMs / 1000} s:`)
  const chaos = await runChaos(workspace, plan, driver, progress)
  progress.update('stopping')
  const problems = await workspace.stop()
  for (const problem of problems) progress.print(problem)

  progress.print(`\n${summarize(measurements, chaos)}`)
  const failed = totalErrors(measurements) + chaos.failed + chaos.slicesLeaked + problems.length
  return failed === 0 ? 0 : 1
}

/** Each route has its own app: nothing one of them leaves behind is measured with another. */
async function startRoutes(workspace: Workspace, shm: boolean): Promise<Route[]> {
  const chains: readonly Chain[] = shm ? ['tcp', 'unix', 'shm'] : ['tcp', 'unix']
  return Promise.all(
    chains.map(async (chain) => {
      const app = await startApp(workspace, `app ${chain}`, `app-${chain}.sock`)
      if (chain === 'tcp') return { chain, app, proxy: undefined, origin: app.origin }
      const proxy = await startProxy(workspace, chain, [`${chain}://${app.path}`])
      return { chain, app, proxy, origin: proxy.origin }
    })
  )
}

function describeMachine({ connections }: Plan): string {
  const model = cpus()[0]?.model.trim() ?? process.arch
  return `${cpus().length} x ${model}, Node ${process.versions.node}, ${connections} connections`
}

function totalErrors(measurements: readonly Measurement[]): number {
  return measurements.reduce((sum, { errors }) => sum + errors, 0)
}

/** The line a reader in a hurry reads. */
function summarize(measurements: readonly Measurement[], chaos: ChaosResult): string {
  const requests = measurements.reduce((sum, m) => sum + m.requests, chaos.requests)
  const failed = totalErrors(measurements) + chaos.failed
  const chain = measurements.some((m) => m.chain === 'shm') ? 'shm' : 'unix'
  const relative = relativeCpu(measurements, chain)?.toFixed(2) ?? '-'
  return [
    `${requests.toLocaleString('en-US')} requests`,
    `${failed} failed`,
    chaos.labels.join(' -> ') || '-',
    `CPU ${relative} x no sidecar`,
    `${chaos.slicesLeaked} slices leaked`
  ].join(', ')
}
