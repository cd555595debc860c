import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../soak/random.ts'
import type { Chain } from './chain.ts'

/** Not so long that the other end must take it for dead, ms. */
const SHORT_STOP_MS = 500
/** Longer than a peer with work to do is waited for (docs/internals/liveness.md). */
const LONG_STOP_MS = 4500

export interface Disturbance {
  readonly name: string
  /** No request may suffer. */
  readonly harmless?: true
  run(chain: Chain, random: Random): Promise<void>
}

export const DISTURBANCES: readonly Disturbance[] = [
  {
    name: 'the app is killed',
    run: async (chain, random) => {
      await chain.app.killed()
      await sleep(random.below(300))
      await chain.startApp()
    }
  },
  {
    name: 'the proxy is killed',
    run: async (chain, random) => {
      await chain.proxy.killed()
      await sleep(random.below(300))
      await chain.startProxy()
    }
  },
  {
    name: 'both are killed',
    run: async (chain) => {
      await Promise.all([chain.app.killed(), chain.proxy.killed()])
      await Promise.all([chain.startApp(), chain.startProxy()])
    }
  },
  {
    name: 'the app is killed twice, the second time as soon as it listens',
    run: async (chain) => {
      await chain.app.killed()
      await chain.startApp()
      await chain.app.killed()
      await chain.startApp()
    }
  },
  {
    name: 'the app is stopped for a while',
    run: (chain) => stopped(chain.app, SHORT_STOP_MS)
  },
  {
    name: 'the proxy is stopped for a while',
    run: (chain) => stopped(chain.proxy, SHORT_STOP_MS)
  },
  {
    name: 'the app is stopped until it is taken for dead',
    run: (chain) => stopped(chain.app, LONG_STOP_MS)
  },
  {
    name: 'the proxy is stopped until it is taken for dead',
    run: (chain) => stopped(chain.proxy, LONG_STOP_MS)
  },
  {
    name: 'the proxy is told to read another configuration',
    harmless: true,
    run: (chain) => chain.reload()
  },
  {
    name: 'the app is stopped and killed',
    run: async (chain) => {
      chain.app.signal('SIGSTOP')
      await sleep(SHORT_STOP_MS)
      await chain.app.killed()
      await chain.startApp()
    }
  }
]

async function stopped(child: Chain['app'], forMs: number): Promise<void> {
  child.signal('SIGSTOP')
  await sleep(forMs)
  child.signal('SIGCONT')
}
