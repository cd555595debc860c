import { setTimeout as sleep } from 'node:timers/promises'
import type { SessionStatistics } from '../../adapter/index.ts'
import type { Plan } from './cells.ts'
import type { Child } from './child.ts'
import type { Load } from './driver.ts'
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
/** On a busy machine what the stopped worker missed may take longer to be made up for. */
const MAX_EXTRA_MS = 5000
const QUIET_MS = 5000

/**
 * Uploads under adverse conditions: a worker stops reading until its region is exhausted, later the
 * other one is killed and started again. PUT may be repeated, so no client should notice.
 */
export async function runChaos(
  workspace: Workspace,
  plan: Plan,
  driver: Child,
  progress: Progress
): Promise<ChaosResult> {
  const workers: [App, App] = [
    await startApp(workspace, 'worker 1', 'worker-1.sock'),
    await startApp(workspace, 'worker 2', 'worker-2.sock')
  ]
  const upstreams = workers.map(({ path }) => `shm://${path}`)
  const proxy = await startProxy(workspace, 'two-workers', upstreams, MEMORY)
  const burstDriver = workspace.start('autocannon (burst)', './driver.js', [])
  const watch = new LabelWatch(proxy, progress)

  const { chaosMs } = plan
  const load = (connections: number, durationMs: number): Load => ({
    origin: proxy.origin,
    method: 'PUT',
    bytes: BODY_BYTES,
    connections,
    durationMs
  })
  const exhaust = async () => {
    await sleep(chaosMs * 0.23)
    watch.event(`worker 1 stopped (SIGSTOP), ${BURST_CONNECTIONS} more clients`)
    workers[0].child.signal('SIGSTOP')
    const burst = drive(burstDriver, load(BURST_CONNECTIONS, chaosMs), ignore)
    await exhausted(proxy, chaosMs * 0.2)
    workers[0].child.signal('SIGCONT')
    watch.event('worker 1 goes on')
    // What went by the socket is to be answered, too.
    await sleep(chaosMs * 0.08)
    burstDriver.send({ stop: true })
    return burst
  }
  const killAndRestart = async () => {
    await sleep(chaosMs * 0.63)
    watch.event('worker 2 killed (SIGKILL)')
    await workers[1].child.killed()
    await sleep(chaosMs * 0.1)
    workers[1] = await startApp(workspace, 'worker 2', 'worker-2.sock')
    watch.event('worker 2 started again')
  }
  const watchThenStop = async () => {
    await watch.run(chaosMs, MAX_EXTRA_MS)
    driver.send({ stop: true })
  }
  const [steady, burst] = await Promise.all([
    drive(driver, load(STEADY_CONNECTIONS, chaosMs + 2 * MAX_EXTRA_MS), ignore),
    exhaust(),
    killAndRestart(),
    watchThenStop()
  ])
  return {
    requests: steady.completed + burst.completed,
    failed: failuresOf(steady) + failuresOf(burst),
    labels: watch.labels,
    slicesLeaked: await countLeaks(proxy, workers)
  }
}

/** Waits until a message found no slice for longer than it waits. */
async function exhausted(proxy: RunningProxy, atMostMs: number): Promise<void> {
  const before = fallbackMessages(await proxy.statistics())
  const deadline = performance.now() + atMostMs
  while (performance.now() < deadline) {
    await sleep(50)
    if (fallbackMessages(await proxy.statistics()) > before) return
  }
}

/** Waits until no slice is under way; what is left then will not come back. */
async function countLeaks(proxy: RunningProxy, workers: readonly App[]): Promise<number> {
  const deadline = performance.now() + QUIET_MS
  for (;;) {
    const { requests, clusters } = await proxy.statistics()
    const ours = clusters
      .flatMap(({ endpoints }) => endpoints)
      .flatMap(({ link }): SessionStatistics[] => (link?.session ? [link.session] : []))
    const theirs = await Promise.all(workers.map(appSessions))
    const held = [...ours, ...theirs.flat()].reduce((sum, { slicesInUse }) => sum + slicesInUse, 0)
    if ((held === 0 && requests.active === 0) || performance.now() > deadline) return held
    await sleep(50)
  }
}

function ignore(): void {}
