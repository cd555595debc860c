import { spawnSync } from 'node:child_process'
import { cpus } from 'node:os'
import { setTimeout } from 'node:timers/promises'
import type { SessionStatistics } from '../../adapter/index.ts'
import type { Child } from '../demo/child.ts'
import type { Workspace } from '../demo/workspace.ts'
import { Disturbance } from './disturbance.ts'
import type { EndMessage, EndOptions, Problem, Sample } from './messages.ts'
import { derivedSeed, Random } from './random.ts'
import type { Rules, Side } from './script.ts'
import { type EndReport, mebibytes, problemsOf } from './verdict.ts'

export interface SoakOptions {
  /** Written by both ends together. */
  readonly messages: number
  readonly seed: number
  readonly rules: Rules
}

const SIDES = ['server', 'client'] as const
const STREAMS = 48
const LOOK_MS = 50
/** Lines of the series that is printed. */
const LINES = 20
/** Without a message for so long it hangs. */
const STALLED_MS = 30_000
/** Problems printed; one often leads to many. */
const MAX_PRINTED = 5

interface End {
  readonly side: Side
  readonly child: Child
  readonly samples: Sample[]
  quiet: SessionStatistics | undefined
}

export class Soak {
  readonly #workspace: Workspace
  readonly #options: SoakOptions
  readonly #ends: End[] = []
  readonly #problems: Problem[] = []
  #startedAt = 0
  #stopping = false

  constructor(workspace: Workspace, options: SoakOptions) {
    this.#workspace = workspace
    this.#options = options
  }

  /** Resolves to the exit code. */
  async run(): Promise<number> {
    const { messages, seed, rules } = this.#options
    print(`seed ${seed}: ${count(messages)} messages by the rules of ${rules}`)
    for (const side of SIDES) await this.#start(side)
    this.#startedAt = performance.now()
    const disturbance = new Disturbance(
      this.#ends.map(({ child }) => child),
      new Random(derivedSeed(seed, -3))
    )
    await this.#untilWritten()
    this.#stopping = this.#problems.length > 0
    await disturbance.end()
    if (this.#problems.length === 0) await this.#finish()
    this.#stopping = true
    for (const text of await this.#workspace.stop()) this.#complain(text)
    return this.#conclude(disturbance.stops)
  }

  async #start(side: Side): Promise<void> {
    const { seed, rules } = this.#options
    const options: EndOptions = {
      side,
      path: this.#workspace.path('soak.sock'),
      seed,
      memory: rules === 'shmesh' ? '16MiB' : '1MiB',
      streams: STREAMS,
      rules
    }
    const script = new URL('./end.js', import.meta.url).href
    const child = this.#workspace.start(side, script, [JSON.stringify(options)])
    const end: End = { side, child, samples: [], quiet: undefined }
    this.#ends.push(end)
    pin(child)
    const ready = child.receive((message) => {
      this.#onMessage(end, message as EndMessage)
      return 'ready' in (message as EndMessage) ? true : undefined
    })
    await ready
    // Until it ends, which the run notices by itself.
    child
      .receive((message) => this.#onMessage(end, message as EndMessage))
      .catch((error: Error) => {
        if (!this.#stopping) this.#complain(error.message)
      })
  }

  #onMessage(end: End, message: EndMessage): undefined {
    // One that ends the run makes others.
    if ('problem' in message && !this.#stopping) this.#problems.push(message.problem)
    if ('sample' in message) end.samples.push(message.sample)
    if ('quiet' in message) end.quiet = message.quiet
    return undefined
  }

  async #untilWritten(): Promise<void> {
    const { messages } = this.#options
    let line = 1
    let seen = 0
    let seenAt = performance.now()
    while (this.#problems.length === 0) {
      await setTimeout(LOOK_MS)
      const written = this.#written
      if (written !== seen) seenAt = performance.now()
      else if (performance.now() - seenAt > STALLED_MS) this.#complain('nothing moves')
      seen = written
      if (written < (messages * line) / LINES) continue
      while (written >= (messages * line) / LINES) line++
      this.#printSeries()
      if (written >= messages) return
    }
  }

  get #written(): number {
    return this.#ends.reduce((sum, { samples }) => sum + (samples.at(-1)?.tally.messages ?? 0), 0)
  }

  #printSeries(): void {
    const seconds = (performance.now() - this.#startedAt) / 1000
    const memory = this.#ends.map(({ side, samples }) => {
      const { anonymousBytes = 0, sharedBytes = 0 } = samples.at(-1) ?? {}
      return `${side} ${mebibytes(anonymousBytes)} + ${mebibytes(sharedBytes)} shared`
    })
    print(`${seconds.toFixed(1).padStart(7)} s  ${count(this.#written)}  ${memory.join(', ')}`)
  }

  /** Lets both ends come to rest. The client first: it opens the streams. */
  async #finish(): Promise<void> {
    for (const end of this.#ends.toReversed()) {
      end.child.send({ finish: true })
      while (end.quiet === undefined && this.#problems.length === 0) await setTimeout(LOOK_MS)
    }
    for (const { side, quiet, samples } of this.#ends) {
      const report: EndReport = { side, statistics: quiet!, samples }
      if (quiet !== undefined) for (const text of problemsOf(report)) this.#complain(text)
    }
  }

  #complain(text: string): void {
    this.#problems.push({ text, corruption: false })
  }

  #conclude(stops: number): number {
    const { rules, seed } = this.#options
    const corruptions = this.#problems.filter(({ corruption }) => corruption)
    // What broke the session first, then what broke with it.
    const ordered = [...corruptions, ...this.#problems.filter(({ corruption }) => !corruption)]
    for (const { text } of ordered.slice(0, MAX_PRINTED)) print(`WRONG  ${text}`)
    if (ordered.length > MAX_PRINTED) print(`       and ${ordered.length - MAX_PRINTED} more`)
    for (const { side, samples, quiet } of this.#ends) print(summarize(side, samples, quiet))
    const clean = this.#problems.length === 0
    print(
      `${count(this.#written)} messages, ${stops} stops, ` +
        `${clean ? 'every byte as it was sent' : `${ordered.length} problems`}; seed ${seed}`
    )
    if (rules === 'shmesh') return clean ? 0 : 1
    return corruptions.length > 0 ? 0 : 1
  }
}

function summarize(
  side: Side,
  samples: readonly Sample[],
  quiet: SessionStatistics | undefined
): string {
  const { streams = 0, aborted = 0, bytes = 0, views = 0 } = samples.at(-1)?.tally ?? {}
  const parts = [
    `${count(streams)} streams, ${count(aborted)} aborted`,
    `${mebibytes(bytes)} compared, ${count(views)} views held`
  ]
  if (quiet !== undefined) {
    let allocated = 0
    for (const list of quiet.lists ?? []) allocated += list.role === 'peers' ? 0 : list.allocated
    parts.push(
      `${count(allocated)} slices allocated, ${quiet.slicesInUse} in use`,
      `${count(quiet.fallbackMessages)} messages by the socket`
    )
  }
  return `${side}: ${parts.join('; ')}`
}

/** Onto one CPU, where one end often stops in the middle of what the other goes on with. */
function pin(child: Child): void {
  const cpu = String(cpus().length - 1)
  spawnSync('taskset', ['--all-tasks', '--cpu-list', '--pid', cpu, String(child.pid)])
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

function count(value: number): string {
  return value.toLocaleString('en-US')
}
