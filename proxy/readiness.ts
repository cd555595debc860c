import type { Cluster } from './upstream/cluster.ts'

/** For how long an answer holds: whoever may ask /ready must not make us connect each time, ms. */
const HOLDS_MS = 1000

/** Whether the clusters a proxy is of no use without can be reached. */
export class Readiness {
  readonly #clusters: readonly Cluster[]
  #asked: Promise<string[]> | undefined
  #askedAt = Number.NEGATIVE_INFINITY

  constructor(clusters: readonly Cluster[]) {
    this.#clusters = clusters
  }

  /** Names of the clusters with no endpoint that can be connected to. */
  unreachable(): Promise<string[]> {
    const now = performance.now()
    if (this.#asked === undefined || now - this.#askedAt > HOLDS_MS) {
      this.#askedAt = now
      this.#asked = this.#ask()
    }
    return this.#asked
  }

  async #ask(): Promise<string[]> {
    const answers = await Promise.all(this.#clusters.map((cluster) => cluster.reachable()))
    return this.#clusters.filter((_, index) => answers[index] === false).map(nameOf)
  }
}

function nameOf(cluster: Cluster): string {
  return cluster.config.name
}
