import { Agent } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { derivedSeed, Random } from '../soak/random.ts'
import { type Ending, HANGS_MS, type Outcome, send } from './request.ts'

const TICK_MS = 10
/** More than this under way and none are begun until some have ended. */
const MAX_IN_FLIGHT = 256

/** Requests at a steady rate, whatever becomes of them. */
export class Load {
  readonly endings: Record<Ending, number> = { whole: 0, refused: 0, broken: 0, left: 0, wrong: 0 }
  /** What must never be, and failures at times when nothing was disturbed. */
  readonly complaints: string[] = []
  /** Those whole since something else was seen last. */
  wholeInARow = 0
  /** While false, every request has to be whole. */
  disturbed = false
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 64 })
  readonly #socketPath: string
  readonly #seed: number
  readonly #rate: number
  #begun = 0
  #inFlight = 0
  #running = true

  /** @param rate requests per second */
  constructor(socketPath: string, seed: number, rate: number) {
    this.#socketPath = socketPath
    this.#seed = seed
    this.#rate = rate
  }

  async run(): Promise<void> {
    let at = performance.now()
    let due = 0
    while (this.#running) {
      const now = performance.now()
      due += ((now - at) / 1000) * this.#rate
      at = now
      for (; due >= 1 && this.#inFlight < MAX_IN_FLIGHT; due--) void this.#one()
      // What could not be begun in time is not made up for.
      due = Math.min(due, 1)
      await sleep(TICK_MS)
    }
  }

  /** Resolves when every request has ended and its connections are closed. */
  async stop(): Promise<void> {
    this.#running = false
    const deadline = performance.now() + HANGS_MS
    while (this.#inFlight > 0 && performance.now() < deadline) await sleep(TICK_MS)
    this.#agent.destroy()
  }

  async #one(): Promise<void> {
    const seed = derivedSeed(this.#seed, this.#begun++)
    const wasDisturbed = this.disturbed
    this.#inFlight++
    const outcome = await send(this.#socketPath, this.#agent, seed, new Random(seed))
    this.#inFlight--
    this.#count(outcome, wasDisturbed || this.disturbed)
  }

  #count({ ending, detail }: Outcome, disturbed: boolean): void {
    this.endings[ending]++
    if (ending === 'whole') this.wholeInARow++
    else if (ending !== 'left') this.wholeInARow = 0
    const fails = ending === 'refused' || ending === 'broken'
    if (ending === 'wrong' || (fails && !disturbed)) this.complaints.push(`${ending}: ${detail}`)
  }
}
