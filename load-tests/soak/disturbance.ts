import { setTimeout } from 'node:timers/promises'
import type { Child } from '../demo/child.ts'
import type { Random } from './random.ts'

const MAX_BETWEEN_MS = 150
const MAX_STOPPED_MS = 40

/** Stops one of `children` at a random moment, for a random time, again and again. */
export class Disturbance {
  /** So far. */
  stops = 0
  readonly #ended: Promise<void>
  #ending = false

  constructor(children: readonly Child[], random: Random) {
    this.#ended = this.#run(children, random)
  }

  /** All go on after this. */
  async end(): Promise<void> {
    this.#ending = true
    await this.#ended
  }

  async #run(children: readonly Child[], random: Random): Promise<void> {
    while (!this.#ending) {
      await setTimeout(random.below(MAX_BETWEEN_MS))
      const child = children[random.below(children.length)]!
      child.signal('SIGSTOP')
      this.stops++
      await setTimeout(1 + random.below(MAX_STOPPED_MS))
      child.signal('SIGCONT')
    }
  }
}
