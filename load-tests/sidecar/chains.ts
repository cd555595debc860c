/** Starts the processes of each chain. */
import { readFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import type { Child } from '../demo/child.ts'
import { findProgram } from '../demo/requirements.ts'
import { type RunningProxy, startProxy } from '../demo/servers.ts'
import type { Workspace } from '../demo/workspace.ts'
import type { AppMode } from './app.ts'
import {
  appModeOf,
  isOutbound,
  type OutboundChain,
  startOutboundClient,
  startOutboundProxy
} from './outbound.ts'
import { CHAINS, type Chain } from './plan.ts'

/** A chain that runs, with an app of its own: nothing one chain leaves behind is measured with another. */
export interface RunningChain {
  readonly chain: Chain
  /** `http://127.0.0.1:PORT` */
  readonly origin: string
  /** Set instead of a host and port that count: HTTP on this Unix socket. */
  readonly socketPath: string | undefined
  /** The service beside the sidecar: who answers, or on the way out who asks. */
  readonly app: Child
  /** On the way out that one drives itself. */
  readonly outbound: boolean
  readonly proxy: Child | undefined
  /** Of a proxy of ours. */
  readonly shmesh: RunningProxy | undefined
}

/** The program a chain needs and this machine may not have. */
const PROGRAMS: Readonly<Partial<Record<Chain, string>>> = {
  nginx: 'nginx',
  'nginx-tuned': 'nginx',
  haproxy: 'haproxy',
  'haproxy-tuned': 'haproxy',
  'outbound-nginx-tuned': 'nginx',
  'outbound-haproxy-tuned': 'haproxy'
}
/** Where Debian puts servers; not on the path of ordinary users. */
const SERVER_DIRECTORY = '/usr/sbin'
const CONFIGURATIONS = new URL('../../../load-tests/sidecar/peers/', import.meta.url)

export function programFile(program: string): string | undefined {
  return findProgram(program, SERVER_DIRECTORY)
}

export function availableChains(shm: boolean): Chain[] {
  return CHAINS.filter((chain) => {
    const program = PROGRAMS[chain]
    if (program !== undefined) return programFile(program) !== undefined
    return shm || !/shmesh-shm/.test(chain)
  })
}

/** One line per program that is not there. */
export function missingPrograms(): string[] {
  const wanted = [...new Set(Object.values(PROGRAMS)), 'wrk']
  return wanted
    .filter((program) => programFile(program) === undefined)
    .map(
      (program) => `${program} is not installed: its rows are left out (apt-get install ${program})`
    )
}

export async function startChain(workspace: Workspace, chain: Chain): Promise<RunningChain> {
  if (isOutbound(chain)) return startOutbound(workspace, chain)
  const mode: AppMode = chain === 'tcp' ? 'tcp' : chain.startsWith('shmesh') ? 'shmesh' : 'unix'
  const path = workspace.path(`${chain}.sock`)
  const script = new URL('./app.js', import.meta.url).href
  const app = workspace.start(`the app of ${chain}`, script, [mode, path])
  const port = await receivePort(app)
  const running = { ...NO_PROXY, chain, app, outbound: false }
  if (chain === 'tcp') return { ...running, origin: originOf(port) }
  if (chain === 'unix') return { ...running, origin: 'http://127.0.0.1', socketPath: path }
  if (chain === 'http-proxy') {
    const proxy = workspace.start(chain, new URL('./http-proxy.js', import.meta.url).href, [path])
    return { ...running, proxy, origin: originOf(await receivePort(proxy)) }
  }
  if (PROGRAMS[chain] !== undefined)
    return { ...running, ...(await startPeer(workspace, chain, path)) }
  const scheme = chain === 'shmesh-unix' ? 'unix' : 'shm'
  const options = { accessLog: chain === 'shmesh-shm-log' }
  const shmesh = await startProxy(workspace, chain, [`${scheme}://${path}`], options)
  return { ...running, proxy: shmesh.child, shmesh, origin: shmesh.origin }
}

const NO_PROXY = { proxy: undefined, shmesh: undefined, socketPath: undefined } as const

async function startOutbound(workspace: Workspace, chain: OutboundChain): Promise<RunningChain> {
  const path = workspace.path(`${chain}.sock`)
  const script = new URL('./app.js', import.meta.url).href
  const server = workspace.start(`the app of ${chain}`, script, [appModeOf(chain), path])
  const port = await receivePort(server)
  const { proxy, shmesh, origin } =
    chain === 'outbound-tcp'
      ? { ...NO_PROXY, origin: originOf(port) }
      : await startOutboundPeer(workspace, chain, path)
  const app = startOutboundClient(workspace, chain, origin)
  return { ...NO_PROXY, chain, app, proxy, shmesh, origin, outbound: true }
}

async function startOutboundPeer(workspace: Workspace, chain: OutboundChain, path: string) {
  if (PROGRAMS[chain] !== undefined) {
    return { ...(await startPeer(workspace, chain, path)), shmesh: undefined }
  }
  const shmesh = await startOutboundProxy(workspace, chain, path)
  return { proxy: shmesh.child, shmesh, origin: shmesh.origin }
}

async function startPeer(
  workspace: Workspace,
  chain: Chain,
  app: string
): Promise<{ proxy: Child; origin: string }> {
  const program = PROGRAMS[chain]!
  const file = `${chain.replace('outbound-', '')}.${program === 'nginx' ? 'conf' : 'cfg'}`
  const directory = workspace.makeDirectory(chain)
  const port = await freePort()
  const values: Record<string, string> = { directory, app, port: String(port) }
  const template = readFileSync(fileURLToPath(new URL(file, CONFIGURATIONS)), 'utf8')
  const text = template.replaceAll(/\{(directory|app|port)\}/g, (_, name) => values[name]!)
  const configuration = workspace.write(`${chain}.conf`, text)
  const args =
    program === 'nginx'
      ? ['-p', directory, '-e', 'stderr', '-c', configuration]
      : ['-db', '-q', '-f', configuration]
  const proxy = workspace.startProgram(chain, programFile(program)!, args)
  while (!(await answers(port))) proxy.usage()
  return { proxy, origin: originOf(port) }
}

/** These cannot tell which port 0 became. */
async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port })
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => setTimeout(resolve, 20, false))
  })
}

function receivePort(child: Child): Promise<number> {
  return child.receive((message) => (message as { port?: number }).port)
}

function originOf(port: number): string {
  return `http://127.0.0.1:${port}`
}
