import { setTimeout as sleep } from 'node:timers/promises'
import type { SessionStatistics } from '../../adapter/index.ts'
import type { Plan } from './cells.ts'
import type { Child } from './child.ts'
import type { Load, LoadResult } from './driver.ts'
import { fallbackMessages, LabelWatch } from './label-watch.ts'
import { drive, failuresOf } from './measure.ts'
import type { Progress } from './progress.ts'
import { type App, appSessions, type RunningProxy, startApp, startProxy } from './servers.ts'
import type { Workspace } from './workspace.ts'

export interface ChaosResult {
  readonly requests: number
  readonly failed: number
  /** How the requests travelled, second by second, repetitions left out. */
  readonly labels: readonly string[]
  /** Slices not returned once all was quiet, counted by the proxy and by both workers. */
  readonly slicesLeaked: number
}

const BODY_BYTES = 1024 * 1024
/** Of each worker's region. Half of it is for requests. */
const MEMORY = '16MiB'
/** Each may have 1 MiB under way: these fit, even when one worker gets them all. */
const STEADY_CONNECTIONS = 4
/** These do not, when they come while a worker reads nothing. */
const BURST_CONNECTIONS = 24
/** A process that is stopped for longer may be taken for dead. */
const MAX_STOPPED_MS = 2500
/** On a busy machine everything takes longer, but not longer than this. */
const LIMIT_MS = 10_000

/**
 * Uploads under adverse conditions: a worker stops reading until its region is exhausted, later the
 * other one is killed and started again. PUT may be repeated, so no client should notice.
 *
 * @param driver a process of driver.ts that is idle
 */
export async function runChaos(
  workspace: Workspace,
  plan: Plan,
  driver: Child,
  progress: Progress
): Promise<ChaosResult> {
  const workers: [App, App] = [await startWorker(workspace, 1), await startWorker(workspace, 2)]
  const upstreams = workers.map(({ path }) => `shm://${path}`)
  const proxy = await startProxy(workspace, 'two-workers', upstreams, { memory: MEMORY })
  const watch = new LabelWatch(proxy, progress)
  // Started early: while the worker is stopped there is no time to lose.
  const burstDriver = workspace.start('autocannon (burst)', './driver.js', [])
  const parts = { workspace, workers, proxy, watch, burstDriver }
  const { chaosMs } = plan
  let disturbed = false

  const disturb = async () => {
    await sleep(chaosMs * 0.23)
    const burst = await exhaust(parts)
    await sleep(chaosMs * 0.2)
    await killAndRestart(parts, chaosMs * 0.1)
    disturbed = true
    return burst
  }
  const watchThenStop = async () => {
    await watch.run(chaosMs, LIMIT_MS, () => disturbed)
    driver.send({ stop: true })
  }
  const [steady, burst] = await Promise.all([
    drive(driver, uploads(proxy, STEADY_CONNECTIONS, chaosMs + 2 * LIMIT_MS), ignore),
    disturb(),
    watchThenStop()
  ])
  return {
    requests: steady.completed + burst.completed,
    failed: failuresOf(steady) + failuresOf(burst),
    labels: watch.labels,
    slicesLeaked: await countLeaks(proxy, workers)
  }
}

interface Parts {
  readonly workspace: Workspace
  readonly workers: [App, App]
  readonly proxy: RunningProxy
  readonly watch: LabelWatch
  readonly burstDriver: Child
}

/** Stops the first worker until messages for it go by the socket. */
async function exhaust(parts: Parts): Promise<LoadResult> {
  const { proxy, watch, burstDriver } = parts
  let answered = 0
  const burst = drive(burstDriver, uploads(proxy, BURST_CONNECTIONS, 2 * LIMIT_MS), (completed) => {
    answered = completed
  })
  const disturb = async () => {
    watch.event(`worker 1 stopped (SIGSTOP), ${BURST_CONNECTIONS} more clients`)
    await until(() => exhaustedWhileStopped(parts), LIMIT_MS)
    watch.event('worker 1 goes on')
    // What went by the socket is to be answered, too.
    await until(async () => answered >= BURST_CONNECTIONS, LIMIT_MS)
    burstDriver.send({ stop: true })
  }
  const [result] = await Promise.all([burst, disturb()])
  return result
}

async function exhaustedWhileStopped({ workers, proxy }: Parts): Promise<boolean> {
  workers[0].child.signal('SIGSTOP')
  const exhausted = await until(
    async () => fallbackMessages(await proxy.statistics()) > 0,
    MAX_STOPPED_MS
  )
  workers[0].child.signal('SIGCONT')
  return exhausted
}

async function killAndRestart(
  { workspace, workers, watch }: Parts,
  pauseMs: number
): Promise<void> {
  watch.event('worker 2 killed (SIGKILL)')
  await workers[1].child.killed()
  await sleep(pauseMs)
  workers[1] = await startWorker(workspace, 2)
  watch.event('worker 2 started again')
}

function startWorker(workspace: Workspace, number: 1 | 2): Promise<App> {
  return startApp(workspace, `worker ${number}`, `worker-${number}.sock`)
}

function uploads({ origin }: RunningProxy, connections: number, durationMs: number): Load {
  return { origin, method: 'PUT', bytes: BODY_BYTES, connections, durationMs }
}

/** False when it did not come true in time. */
async function until(condition: () => Promise<boolean>, atMostMs: number): Promise<boolean> {
  const deadline = performance.now() + atMostMs
  for (;;) {
    if (await condition()) return true
    if (performance.now() > deadline) return false
    await sleep(50)
  }
}

/** Slices held once all is quiet: they will not come back. */
async function countLeaks(proxy: RunningProxy, workers: readonly App[]): Promise<number> {
  let held = 0
  await until(async () => {
    const { requests, clusters } = await proxy.statistics()
    const links = clusters.flatMap(({ endpoints }) => endpoints).map(({ link }) => link)
    const sessions: SessionStatistics[] = (await Promise.all(workers.map(appSessions))).flat()
    for (const link of links) if (link?.session !== undefined) sessions.push(link.session)
    held = sessions.reduce((sum, { slicesInUse }) => sum + slicesInUse, 0)
    return held === 0 && requests.active === 0
  }, LIMIT_MS)
  return held
}

function ignore(): void {}
