/** The way out: a service calls another through its own sidecar. */
import type { Child } from '../demo/child.ts'
import { type RunningProxy, startProxy } from '../demo/servers.ts'
import type { Workspace } from '../demo/workspace.ts'
import type { AppMode } from './app.ts'
import type { OutboundMode } from './outbound-client.ts'
import type { Chain } from './plan.ts'

export type OutboundChain = Extract<Chain, `outbound-${string}`>

export const OUTBOUND_TITLES: Readonly<Record<OutboundChain, string>> = {
  'outbound-tcp': 'undici, TCP',
  'outbound-nginx-tuned': 'undici, TCP, nginx tuned',
  'outbound-haproxy-tuned': 'undici, TCP, HAProxy tuned',
  'outbound-shmesh-tcp': 'undici, TCP, shmesh',
  'outbound-shmesh-unix': 'undici, Unix socket, shmesh',
  'outbound-shmesh-shm': 'ShmAgent, shared memory, shmesh'
}

/** Sizes of the outbound cells. */
export const OUTBOUND_BYTES: readonly number[] = [64, 16 * 1024, 256 * 1024, 1024 * 1024]

export function isOutbound(chain: Chain): chain is OutboundChain {
  return chain.startsWith('outbound-')
}

/** The proxy of ours that is asked by way of `mode` and asks the app at `path`. */
export function startOutboundProxy(
  workspace: Workspace,
  chain: OutboundChain,
  path: string
): Promise<RunningProxy> {
  const socket = workspace.path(`${chain}-out.sock`)
  const mode = modeOf(chain)
  const address = mode === 'tcp' ? 'http://127.0.0.1:0' : `${mode}://${socket}`
  return startProxy(workspace, chain, [`unix://${path}`], { listen: address })
}

/** @param address of the proxy, or of the app */
export function startOutboundClient(
  workspace: Workspace,
  chain: OutboundChain,
  address: string
): Child {
  const script = new URL('./outbound-client.js', import.meta.url).href
  const where = address.replace(/^(unix|shm):\/\//, '')
  const mode = modeOf(chain)
  return workspace.start(`the client of ${chain}`, script, [mode, mode === 'shm' ? address : where])
}

/** The app such a chain calls. */
export function appModeOf(chain: OutboundChain): AppMode {
  return chain === 'outbound-tcp' ? 'tcp' : 'unix'
}

function modeOf(chain: OutboundChain): OutboundMode {
  if (chain === 'outbound-shmesh-shm') return 'shm'
  return chain === 'outbound-shmesh-unix' ? 'unix' : 'tcp'
}
