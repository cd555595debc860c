/** The end that begins: connections to the peer, and rounds of messages over them. */
import { once } from 'node:events'
import { connect as connectSocket } from 'node:net'
import { connect, type ShmSession, type ShmStream } from '../../adapter/index.ts'
import type { Child } from '../demo/child.ts'
import type { Workspace } from '../demo/workspace.ts'
import { type Load, TRANSPORTS, type Transport } from './cells.ts'
import { Endpoint } from './endpoint.ts'
import type { Announcement, PeerMessage } from './peer.ts'
import { writeAhead } from './slow-reader.ts'

export interface Round {
  /** Both directions counted: two per exchange. */
  readonly messages: number
  readonly elapsedMicroseconds: number
  /** Of both processes, user and system. */
  readonly cpuMicroseconds: number
}

/** Enough for a message of every stream at once, in both directions. */
const MEMORY = '512MiB'

export class Exchange {
  readonly #peer: Child
  readonly #paths: Readonly<Record<Transport, string>>
  readonly #sessions: Readonly<Record<'shm' | 'duplex', ShmSession>>
  readonly #endpoints: Record<Transport, Endpoint[]> = { shm: [], duplex: [], socket: [] }

  static async open(workspace: Workspace): Promise<Exchange> {
    const [shm, duplex, socket] = TRANSPORTS.map((transport) => workspace.path(`${transport}.sock`))
    const paths = { shm: shm!, duplex: duplex!, socket: socket! }
    const script = new URL('./peer.js', import.meta.url).href
    const peer = workspace.start('the peer', script, Object.values(paths))
    await peer.receive((message) => ('ready' in (message as PeerMessage) ? true : undefined))
    return new Exchange(peer, paths, {
      shm: await connect(paths.shm, { memory: MEMORY }),
      duplex: await connect(paths.duplex, { memory: MEMORY })
    })
  }

  private constructor(
    peer: Child,
    paths: Readonly<Record<Transport, string>>,
    sessions: Readonly<Record<'shm' | 'duplex', ShmSession>>
  ) {
    this.#peer = peer
    this.#paths = paths
    this.#sessions = sessions
  }

  /** Sends `exchanges` messages over each of the load's connections, and waits for all answers. */
  async run(load: Load, exchanges: number): Promise<Round> {
    const endpoints = await this.#endpointsFor(load)
    const slow = load.slowReader ? await this.#startSlowReader() : undefined
    const peerBefore = await this.#announce(load)
    for (const endpoint of endpoints) endpoint.begin(load)

    const cpuBefore = process.cpuUsage()
    const startedAt = process.hrtime.bigint()
    await pingPong(endpoints, exchanges)
    const elapsed = process.hrtime.bigint() - startedAt
    const { user, system } = process.cpuUsage(cpuBefore)
    const peerCpu = (await this.#announce(load)) - peerBefore
    slow?.destroy()
    return {
      messages: 2 * exchanges * endpoints.length,
      elapsedMicroseconds: Number(elapsed) / 1000,
      cpuMicroseconds: user + system + peerCpu
    }
  }

  /** Ends every connection. Returns what should not have been. */
  async close(): Promise<string[]> {
    const problems: string[] = []
    await Promise.all(
      Object.values(this.#endpoints).flatMap((some) => some.map((one) => one.close()))
    )
    for (const session of Object.values(this.#sessions)) {
      const { fallbackMessages, slicesInUse } = session.statistics()
      if (fallbackMessages > 0) problems.push(`${fallbackMessages} messages went by the socket`)
      if (slicesInUse > 0) problems.push(`${slicesInUse} slices leaked`)
      await session.close()
    }
    return problems
  }

  async #endpointsFor({ transport, ways }: Load): Promise<Endpoint[]> {
    const endpoints = this.#endpoints[transport]
    while (endpoints.length < ways) endpoints.push(await this.#connect(transport))
    return endpoints.slice(0, ways)
  }

  async #connect(transport: Transport): Promise<Endpoint> {
    if (transport !== 'socket') {
      return new Endpoint(this.#sessions[transport].openStream(), transport)
    }
    const socket = connectSocket({ path: this.#paths.socket })
    await once(socket, 'connect')
    return new Endpoint(socket, transport)
  }

  async #startSlowReader(): Promise<ShmStream> {
    const understood = this.#peer.receive((message) =>
      'nextIsSlow' in (message as PeerMessage) ? true : undefined
    )
    this.#peer.send({ nextIsSlow: true } satisfies Announcement)
    await understood
    const stream = this.#sessions.shm.openStream()
    writeAhead(stream)
    return stream
  }

  /** CPU the peer has used so far, µs. */
  async #announce(load: Load): Promise<number> {
    const answer = this.#peer.receive((message) =>
      'cpuMicroseconds' in (message as PeerMessage)
        ? (message as { cpuMicroseconds: number }).cpuMicroseconds
        : undefined
    )
    this.#peer.send(load)
    return answer
  }
}

function pingPong(endpoints: readonly Endpoint[], exchanges: number): Promise<void> {
  return new Promise((resolve) => {
    let open = endpoints.length
    for (const endpoint of endpoints) {
      let left = exchanges
      endpoint.onMessage = () => {
        if (--left > 0) endpoint.send()
        else if (--open === 0) resolve()
      }
      endpoint.send()
    }
  })
}
