import { setTimeout as sleep } from 'node:timers/promises'
import { type RunningProxy, startProxy } from '../demo/servers.ts'
import type { Workspace } from '../demo/workspace.ts'
import { median } from '../transport/statistics.ts'
import type { CrowdKind } from './crowd.ts'
import { digits, type Finding } from './finding.ts'
import { Crowd, SteadyClient, startApp } from './processes.ts'
import type { SteadyResult } from './steady-client.ts'

const KIB = 1024
/** Of the clients whose latency is looked at. */
const OTHERS = { connections: 16, perSecond: 400, bodyBytes: 0, durationMs: 1000 } as const
const WINDOWS = 5
/** Until a crowd that has come, or gone, has been dealt with, ms. */
const SETTLE_MS = 3000

interface Bystanders {
  readonly p50Ms: number
  readonly p99Ms: number
  readonly failed: number
}

/** Crowds that do little, and what sixteen others notice of them. */
export async function checkCrowds(
  workspace: Workspace,
  idle: number,
  slow: number
): Promise<Finding[]> {
  const app = await startApp(workspace, 'crowds')
  const proxy = await startProxy(workspace, 'crowds', [app])
  const client = await SteadyClient.start(workspace)
  const crowd = await Crowd.start(workspace)
  const uploading = { crowd, kind: 'uploading' } as const
  const reading = { crowd: await Crowd.start(workspace), kind: 'reading' } as const
  await watch(client, proxy)
  return [
    ...(await checkIdle(proxy, client, crowd, idle)),
    ...(await checkSlow(proxy, client, [uploading], slow)),
    ...(await checkSlow(proxy, client, [reading], slow)),
    ...(await checkSlow(proxy, client, [uploading, reading], slow))
  ]
}

async function checkIdle(proxy: RunningProxy, client: SteadyClient, crowd: Crowd, count: number) {
  const before = await watch(client, proxy)
  const { rssBytes } = proxy.child.usage()!
  await crowd.gather(proxy.origin, 'idle', count)
  await sleep(SETTLE_MS)
  const grown = proxy.child.usage()!.rssBytes - rssBytes
  const slices = await slicesInUse(proxy)
  const during = await watch(client, proxy)
  const lost = await crowd.leave()
  await sleep(SETTLE_MS)
  const name = `${count} idle connections`
  return [
    {
      what: `${name}: memory of each`,
      value: grown / count / KIB,
      unit: 'KiB',
      target: 12,
      note: `${digits(grown / KIB / KIB)} MiB in all; ${lost} were closed`
    },
    { what: `${name}: slices`, value: slices, unit: '', target: 0, note: '' },
    ...compare(name, 'p50Ms', 1.25, before, during, await watch(client, proxy))
  ]
}

/** @param crowds that come at the same time, `count` clients each */
async function checkSlow(
  proxy: RunningProxy,
  client: SteadyClient,
  crowds: readonly { readonly crowd: Crowd; readonly kind: CrowdKind }[],
  count: number
) {
  const before = await watch(client, proxy)
  await Promise.all(crowds.map(({ crowd, kind }) => crowd.gather(proxy.origin, kind, count)))
  await sleep(SETTLE_MS)
  const during = await watch(client, proxy)
  await Promise.all(crowds.map(({ crowd }) => crowd.leave()))
  await sleep(SETTLE_MS)
  const after = await watch(client, proxy)
  const slices = await slicesInUse(proxy)
  const name = `${crowds.map(({ kind }) => `${count} ${kind}`).join(' and ')} slowly`
  return [
    ...compare(name, 'p99Ms', 2, before, during, after),
    { what: `${name}: slices when they have left`, value: slices, unit: '', target: 0, note: '' }
  ]
}

function compare(
  name: string,
  figure: 'p50Ms' | 'p99Ms',
  target: number,
  before: Bystanders,
  during: Bystanders,
  after: Bystanders
): Finding[] {
  const alone = (before[figure] + after[figure]) / 2
  const quantile = figure === 'p50Ms' ? 'median' : 'p99'
  return [
    {
      what: `${name}: ${quantile} of 16 others, times that without`,
      value: during[figure] / alone,
      unit: '',
      target,
      note: `${digits(before[figure])}, ${digits(during[figure])}, ${digits(after[figure])} ms`
    },
    {
      what: `${name}: failed requests of the others`,
      value: before.failed + during.failed + after.failed,
      unit: '',
      target: 0,
      note: ''
    }
  ]
}

/** Medians over windows: what else the machine does in one of them does not count. */
async function watch(client: SteadyClient, { origin }: RunningProxy): Promise<Bystanders> {
  const windows: SteadyResult[] = []
  for (let i = 0; i < WINDOWS; i++) windows.push(await client.run({ ...OTHERS, origin }))
  return {
    p50Ms: median(windows.map(({ p50Ms }) => p50Ms)),
    p99Ms: median(windows.map(({ p99Ms }) => p99Ms)),
    failed: windows.reduce((sum, { failed }) => sum + failed, 0)
  }
}

async function slicesInUse(proxy: RunningProxy): Promise<number> {
  const { clusters } = await proxy.statistics()
  return clusters[0]?.endpoints[0]?.link?.session?.slicesInUse ?? Number.NaN
}
