import type { Child } from '../demo/child.ts'
import type { Progress } from '../demo/progress.ts'
import type { Workspace } from '../demo/workspace.ts'
import type { AppMessage } from '../fastify/app.ts'
import { median } from '../transport/statistics.ts'
import { type Cell, type Job, type Plan, TRANSPORTS, type Transport } from './cells.ts'
import type { ClientMessage, Task } from './client.ts'

/** Per request, µs. */
export interface Cost {
  readonly client: number
  readonly app: number
  /** Median time from request to response. */
  readonly time: number
}

export interface Measurement {
  readonly cell: Cell
  /** Medians of the rounds. */
  readonly costs: Readonly<Record<Transport, Cost>>
  /** Medians of the ratios of rounds that followed each other: shm over socket. */
  readonly client: number
  readonly both: number
  readonly time: number
  /** Undefined without a target. */
  readonly met: boolean | undefined
}

/** Rounds before any that counts: compiled code, used memory. */
const WARM_UP_ROUNDS = 3

interface Pair {
  readonly app: Child
  readonly client: Child
}

/** An app and a client per transport: neither runs code the other's objects made slower. */
export class Pairs {
  readonly #pairs: Readonly<Record<Transport, Pair>>

  static async start(workspace: Workspace): Promise<Pairs> {
    const pairs = {} as Record<Transport, Pair>
    for (const transport of TRANSPORTS) {
      const args = [transport, workspace.path(`${transport}.sock`)]
      const start = (name: string, script: string) =>
        workspace.start(`the ${transport} ${name}`, new URL(script, import.meta.url).href, args)
      const app = start('app', '../fastify/app.js')
      await cpuOf(app)
      const client = start('client', './client.js')
      await client.receive((message) => (message === 'ready' ? true : undefined))
      pairs[transport] = { app, client }
    }
    return new Pairs(pairs)
  }

  private constructor(pairs: Readonly<Record<Transport, Pair>>) {
    this.#pairs = pairs
  }

  async measure(cell: Cell, { rounds, roundMs }: Plan): Promise<Measurement> {
    const counts = {
      shm: await this.#calibrate('shm', cell.job, roundMs),
      socket: await this.#calibrate('socket', cell.job, roundMs)
    }
    const costs: Record<Transport, Cost[]> = { shm: [], socket: [] }
    for (let round = -WARM_UP_ROUNDS; round < rounds; round++) {
      // Who goes first must not matter.
      for (const transport of round % 2 === 0 ? TRANSPORTS : TRANSPORTS.toReversed()) {
        const [cost] = await this.#run(transport, cell.job, counts[transport])
        if (round >= 0) costs[transport].push(cost)
      }
    }
    const ratio = (of: (cost: Cost) => number) =>
      median(costs.shm.map((cost, i) => of(cost) / of(costs.socket[i]!)))
    const both = ratio(({ client, app }) => client + app)
    const time = ratio((cost) => cost.time)
    const { target, timeTarget } = cell
    return {
      cell,
      costs: { shm: typical(costs.shm), socket: typical(costs.socket) },
      client: ratio(({ client }) => client),
      both,
      time,
      met:
        target !== undefined
          ? both <= target
          : timeTarget !== undefined
            ? time <= timeTarget
            : undefined
    }
  }

  async #calibrate(transport: Transport, job: Job, roundMs: number): Promise<number> {
    let count = job.lanes
    for (;;) {
      const [, elapsedMicroseconds] = await this.#run(transport, job, count)
      const factor = (roundMs * 1000) / elapsedMicroseconds
      if (factor <= 1) return count
      // The first requests are slow ones: not at once to what they promise.
      count = Math.ceil(count * Math.min(4, 1.2 * factor))
    }
  }

  async #run(
    transport: Transport,
    job: Job,
    count: number
  ): Promise<[cost: Cost, elapsedMicroseconds: number]> {
    const { app, client } = this.#pairs[transport]
    const before = await cpuOf(app, true)
    const answer = client.receive((message) => {
      return (message as Partial<ClientMessage>).elapsedMicroseconds === undefined
        ? undefined
        : (message as ClientMessage)
    })
    client.send({ job, count } satisfies Task)
    const { cpuMicroseconds, elapsedMicroseconds, medianMicroseconds } = await answer
    const after = await cpuOf(app, true)
    const cost = {
      client: cpuMicroseconds / count,
      app: (after - before) / count,
      time: medianMicroseconds
    }
    return [cost, elapsedMicroseconds]
  }
}

export async function measureAll(
  plan: Plan,
  pairs: Pairs,
  progress: Progress
): Promise<Measurement[]> {
  const measurements: Measurement[] = []
  for (const [index, cell] of plan.cells.entries()) {
    progress.update(`${index + 1}/${plan.cells.length} ${cell.title}`)
    measurements.push(await pairs.measure(cell, plan))
  }
  return measurements
}

function typical(costs: readonly Cost[]): Cost {
  return {
    client: median(costs.map(({ client }) => client)),
    app: median(costs.map(({ app }) => app)),
    time: median(costs.map(({ time }) => time))
  }
}

async function cpuOf(app: Child, ask = false): Promise<number> {
  const answer = app.receive((message) => (message as Partial<AppMessage>).cpuMicroseconds)
  if (ask) app.send({})
  return answer
}
