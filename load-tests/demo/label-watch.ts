import { setTimeout as sleep } from 'node:timers/promises'
import type { ProxyStatistics } from '../../proxy/index.ts'
import type { Progress } from './progress.ts'
import type { RunningProxy } from './servers.ts'

type Label = 'shm' | 'fallback' | 'socket'

interface Counts extends Record<Label, number> {
  readonly messages: number
}

/** Says each second how a proxy's requests travelled in that second. */
export class LabelWatch {
  readonly labels: Label[] = []
  readonly #proxy: RunningProxy
  readonly #progress: Progress
  #events: string[] = []

  constructor(proxy: RunningProxy, progress: Progress) {
    this.#proxy = proxy
    this.#progress = progress
  }

  /** Shown beside the second it happens in. */
  event(text: string): void {
    this.#events.push(text)
  }

  /** Goes on for up to `extraMs` until it is `over` and memory is not exhausted any more. */
  async run(forMs: number, extraMs: number, over: () => boolean): Promise<void> {
    let before = countsOf(await this.#proxy.statistics())
    const start = performance.now()
    for (let second = 1; second * 1000 <= forMs + extraMs; second++) {
      if (second * 1000 > forMs && over() && this.labels.at(-1) !== 'fallback') return
      await sleep(Math.max(0, start + second * 1000 - performance.now()))
      const now = countsOf(await this.#proxy.statistics())
      this.#show(second, before, now)
      before = now
    }
  }

  #show(second: number, before: Counts, now: Counts): void {
    const answered = (label: Label) => now[label] - before[label]
    // One that fell back is worth more attention than many that did not.
    const exhausted = now.messages > before.messages || answered('fallback') > 0
    const label = exhausted
      ? 'fallback'
      : (['socket', 'shm'] as const).find((one) => answered(one) > 0)
    if (label !== undefined && this.labels.at(-1) !== label) this.labels.push(label)
    const counts = (['shm', 'fallback', 'socket'] as const)
      .filter((one) => answered(one) > 0)
      .map((one) => `${answered(one)} ${one}`)
      .join(', ')
    const events = this.#events.join('; ')
    this.#events = []
    const text = `${`${second} s`.padStart(5)}  ${(label ?? '-').padEnd(8)}  ${counts.padEnd(24)}  ${events}`
    this.#progress.print(text.trimEnd())
  }
}

/** Messages a proxy sent by its sessions' sockets because their memory was exhausted. */
export function fallbackMessages({ clusters }: ProxyStatistics): number {
  const links = clusters.flatMap(({ endpoints }) => endpoints).map(({ link }) => link)
  return links.reduce((sum, link) => sum + (link?.session?.fallbackMessages ?? 0), 0)
}

function countsOf(statistics: ProxyStatistics): Counts {
  return { ...statistics.requests.transport, messages: fallbackMessages(statistics) }
}
