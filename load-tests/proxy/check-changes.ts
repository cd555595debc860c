import { setTimeout as sleep } from 'node:timers/promises'
import type { ConfigDocument } from '../../proxy/index.ts'
import type { Child } from '../demo/child.ts'
import type { Workspace } from '../demo/workspace.ts'
import { digits, type Finding } from './finding.ts'
import { SteadyClient, startApp } from './processes.ts'
import type { SteadyResult } from './steady-client.ts'

const PROXY = '../../proxy/cli.cjs'
const LOAD = { connections: 64, perSecond: 2000, bodyBytes: 4096 } as const
const RELOAD_EVERY_MS = 1000

/**
 * A proxy that is given other configurations, and one that ends, while requests with bodies come.
 *
 * @param durationMs of the load for each of the two
 */
export async function checkChanges(workspace: Workspace, durationMs: number): Promise<Finding[]> {
  const app = await startApp(workspace, 'changes')
  const client = await SteadyClient.start(workspace)
  const going = await startProxy(workspace, 'going', app)
  const staying = await startProxy(workspace, 'staying', app)
  const load = { ...LOAD, origin: going.origin, durationMs }
  await client.run({ ...load, durationMs: durationMs / 3 })

  let reloads = 0
  const timer = setInterval(() => {
    writeConfig(workspace, 'going', app, ++reloads)
    going.child.signal('SIGHUP')
  }, RELOAD_EVERY_MS)
  const reloaded = await client.run(load)
  clearInterval(timer)

  const running = client.run(load)
  await sleep(durationMs / 3)
  const ended = going.child.stop()
  client.redirect(staying.origin)
  const orderly = await ended
  const drained = await running
  return [
    {
      what: `failed of ${reloaded.completed + reloaded.failed} POSTs while it was reloaded`,
      value: reloaded.failed,
      unit: '',
      target: 0,
      note: `${reloads} reloads; ${rate(reloaded, durationMs)}; p99 ${digits(reloaded.p99Ms)} ms ${reloaded.failures.join('; ')}`
    },
    {
      what: `failed of ${drained.completed + drained.failed} POSTs while it was drained`,
      value: drained.failed,
      unit: '',
      target: 0,
      note: `${orderly ? 'ended by itself' : 'KILLED'}; ${rate(drained, durationMs)}; p99 ${digits(drained.p99Ms)} ms ${drained.failures.join('; ')}`
    }
  ]
}

/** What came of the rate aimed at: fewer where the machine has too much to do. */
function rate({ completed, failed }: SteadyResult, durationMs: number): string {
  return `${digits(Math.round(((completed + failed) / durationMs) * 1000))} per second`
}

async function startProxy(
  workspace: Workspace,
  name: string,
  app: string
): Promise<{ child: Child; origin: string }> {
  const file = writeConfig(workspace, name, app, 0)
  const child = workspace.start(`proxy ${name}`, PROXY, ['proxy', '--config', file])
  const origin = await child.receiveLine(
    (line) => /"address":"(http:[^"]+)","msg":"listening"/.exec(line)?.[1]
  )
  return { child, origin }
}

/** The cluster's memory differs from one to the next: each reload makes a session of its own. */
function writeConfig(workspace: Workspace, name: string, app: string, turn: number): string {
  const config: ConfigDocument = {
    version: 1,
    // As long as whoever balances takes to notice.
    drainDelay: '3s',
    listeners: [{ name: 'in', address: 'http://127.0.0.1:0', routes: [{ cluster: 'app' }] }],
    clusters: [{ name: 'app', endpoints: [{ address: app, memory: `${16 + (turn % 2)}MiB` }] }]
  }
  return workspace.write(`${name}.json`, JSON.stringify(config))
}
