import { connect, type ShmSession } from '../../adapter/index.ts'
import type { Child } from '../demo/child.ts'
import type { Progress } from '../demo/progress.ts'
import type { Workspace } from '../demo/workspace.ts'
import { median, quantile } from '../transport/statistics.ts'
import type { AppMessage } from './app.ts'
import { type Cell, type Plan, TRANSPORTS, type Transport } from './cells.ts'
import { Client } from './client.ts'

export interface Measurement {
  readonly title: string
  /** CPU of the app per request, medians of the rounds. */
  readonly shmMicroseconds: number
  readonly socketMicroseconds: number
  /** Median of the ratios of rounds that followed each other: shm over socket. */
  readonly ratio: number
  readonly ratioLow: number
  readonly ratioHigh: number
  readonly target: number
  readonly met: boolean
}

/** Rounds before any that counts: compiled code, used memory. */
const WARM_UP_ROUNDS = 3

/** One app per transport, so that neither runs code the other's objects made slower. */
export class Apps {
  readonly #apps: Readonly<Record<Transport, Child>>
  readonly #socketPath: string
  readonly #session: ShmSession
  #clients: Record<Transport, Client[]> = { shm: [], socket: [] }

  static async start(workspace: Workspace): Promise<Apps> {
    const script = new URL('./app.js', import.meta.url).href
    const apps = {} as Record<Transport, Child>
    for (const transport of TRANSPORTS) {
      const app = workspace.start(`the ${transport} app`, script, [
        transport,
        workspace.path(`${transport}.sock`)
      ])
      await cpuOf(app)
      apps[transport] = app
    }
    const session = await connect(workspace.path('shm.sock'))
    return new Apps(apps, workspace.path('socket.sock'), session)
  }

  private constructor(
    apps: Readonly<Record<Transport, Child>>,
    socketPath: string,
    session: ShmSession
  ) {
    this.#apps = apps
    this.#socketPath = socketPath
    this.#session = session
  }

  async measure({ title, requests, connections, target }: Cell, plan: Plan): Promise<Measurement> {
    const perClient = {
      shm: await this.#calibrate('shm', requests.shm, connections, plan.roundMs),
      socket: await this.#calibrate('socket', requests.socket, connections, plan.roundMs)
    }
    const costs: Record<Transport, number[]> = { shm: [], socket: [] }
    for (let round = -WARM_UP_ROUNDS; round < plan.rounds; round++) {
      // Who goes first must not matter.
      for (const transport of round % 2 === 0 ? TRANSPORTS : TRANSPORTS.toReversed()) {
        const cost = await this.#run(
          transport,
          requests[transport],
          connections,
          perClient[transport]
        )
        if (round >= 0) costs[transport].push(cost)
      }
    }
    const ratios = costs.shm.map((cost, i) => cost / costs.socket[i]!)
    const ratio = median(ratios)
    return {
      title,
      shmMicroseconds: median(costs.shm),
      socketMicroseconds: median(costs.socket),
      ratio,
      ratioLow: quantile(ratios, 0.25),
      ratioHigh: quantile(ratios, 0.75),
      target,
      met: ratio <= target
    }
  }

  async close(): Promise<string[]> {
    await Promise.all(Object.values(this.#clients).flatMap((all) => all.map((one) => one.close())))
    const { slicesInUse } = this.#session.statistics()
    await this.#session.close()
    return slicesInUse > 0 ? [`${slicesInUse} slices leaked`] : []
  }

  /** Requests per connection that take at least `roundMs`. */
  async #calibrate(
    transport: Transport,
    requests: readonly Buffer[],
    connections: number,
    roundMs: number
  ): Promise<number> {
    let count = requests.length
    for (;;) {
      const startedAt = performance.now()
      await this.#run(transport, requests, connections, count)
      const factor = roundMs / (performance.now() - startedAt)
      if (factor <= 1) return count
      // The first requests are slow ones: not at once to what they promise.
      count = Math.ceil(count * Math.min(4, 1.2 * factor))
    }
  }

  /** @returns CPU of the app per request, µs */
  async #run(
    transport: Transport,
    requests: readonly Buffer[],
    connections: number,
    perClient: number
  ): Promise<number> {
    const clients = this.#clients[transport]
    while (clients.length < connections) clients.push(await this.#connect(transport))
    const app = this.#apps[transport]
    const before = await cpuOf(app, true)
    await Promise.all(
      clients.slice(0, connections).map((one) => exchange(one, requests, perClient))
    )
    return ((await cpuOf(app, true)) - before) / (connections * perClient)
  }

  async #connect(transport: Transport): Promise<Client> {
    return transport === 'shm'
      ? Client.overShm(this.#session)
      : await Client.overSocket(this.#socketPath)
  }
}

export async function measureAll(
  plan: Plan,
  apps: Apps,
  progress: Progress
): Promise<Measurement[]> {
  const measurements: Measurement[] = []
  for (const [index, cell] of plan.cells.entries()) {
    progress.update(`${index + 1}/${plan.cells.length} ${cell.title}`)
    measurements.push(await apps.measure(cell, plan))
  }
  return measurements
}

function exchange(client: Client, requests: readonly Buffer[], count: number): Promise<void> {
  return new Promise((resolve) => {
    let sent = 0
    client.onResponse = () => {
      if (sent === count) resolve()
      else client.send(requests[sent++ % requests.length]!)
    }
    client.onResponse()
  })
}

async function cpuOf(app: Child, ask = false): Promise<number> {
  const answer = app.receive((message) => (message as Partial<AppMessage>).cpuMicroseconds)
  if (ask) app.send({})
  return answer
}
