import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Child } from '../demo/child.ts'
import type { Workspace } from '../demo/workspace.ts'
import { median } from '../transport/statistics.ts'
import { digits, type Finding } from './finding.ts'

const CLI = fileURLToPath(new URL('../../proxy/cli.cjs', import.meta.url))
const STARTS = 5
/** Until what has only to do with starting is over, ms. */
const SETTLE_MS = 1500
const MIB = 1024 * 1024

/** How soon a proxy listens, and how large it is before its first request, beside bare Node. */
export async function checkStart(workspace: Workspace): Promise<Finding[]> {
  const file = workspace.write('start.yaml', configuration(workspace))
  const proxies: Start[] = []
  const bare: Start[] = []
  for (let i = 0; i < STARTS; i++) {
    proxies.push(await start(workspace, [CLI, 'proxy', '--config', file], true))
    bare.push(await start(workspace, ['-e', 'setInterval(() => {}, 1000)'], false))
  }
  const [proxyMiB, bareMiB] = [proxies, bare].map((starts) => middle(starts, 'residentMiB'))
  const cpuMs = middle(proxies, 'cpuMs')
  return [
    {
      what: 'idle, more than bare Node',
      value: proxyMiB! - bareMiB!,
      unit: 'MiB',
      target: 15,
      note: `${digits(proxyMiB!)} and ${digits(bareMiB!)} MiB`
    },
    {
      what: 'CPU until it listens',
      value: cpuMs,
      unit: 'ms',
      target: 200,
      note: `${digits(middle(proxies, 'wallMs'))} ms by the clock; bare Node takes ${digits(middle(bare, 'cpuMs'))} ms of CPU`
    }
  ]
}

interface Start {
  readonly wallMs: number
  readonly cpuMs: number
  readonly residentMiB: number
}

async function start(
  workspace: Workspace,
  args: readonly string[],
  listens: boolean
): Promise<Start> {
  const at = performance.now()
  const child: Child = workspace.startProgram('start', process.execPath, args)
  let bound = 0
  if (listens) {
    await child.receiveLine((line) => (line.includes('"listening"') && ++bound === 3) || undefined)
  } else await sleep(SETTLE_MS)
  const wallMs = performance.now() - at
  const { cpuMs } = child.usage()!
  await sleep(SETTLE_MS)
  const residentMiB = child.usage()!.rssBytes / MIB
  await child.stop()
  return { wallMs, cpuMs, residentMiB }
}

function middle(starts: readonly Start[], figure: keyof Start): number {
  return median(starts.map((one) => one[figure]))
}

/** In YAML, with all three kinds of listeners, as people have it. */
function configuration(workspace: Workspace): string {
  return `version: 1
admin: http://127.0.0.1:0
health: http://127.0.0.1:0
listeners:
  - { name: inbound, address: "http://127.0.0.1:0", routes: [{ cluster: app }] }
clusters:
  - { name: app, endpoints: [{ address: "shm://${workspace.path('nobody.sock')}" }] }
`
}
