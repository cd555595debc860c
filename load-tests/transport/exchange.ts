/** The end that begins: connections to the peer, and rounds of messages over them. */
import { once } from 'node:events'
import { connect as connectSocket } from 'node:net'
import { connect, type ShmSession } from '../../adapter/index.ts'
import type { Child } from '../demo/child.ts'
import type { Workspace } from '../demo/workspace.ts'
import type { Load, Transport } from './cells.ts'
import { type Endpoint, ShmEndpoint, SocketEndpoint } from './endpoint.ts'
import type { PeerMessage } from './peer.ts'

export interface Round {
  /** Both directions counted: two per exchange. */
  readonly messages: number
  readonly elapsedMicroseconds: number
  /** Of both processes, user and system. */
  readonly cpuMicroseconds: number
}

export class Exchange {
  readonly #peer: Child
  readonly #session: ShmSession
  readonly #socketPath: string
  readonly #endpoints: Record<Transport, Endpoint[]> = { shm: [], socket: [] }

  static async open(workspace: Workspace): Promise<Exchange> {
    const paths = [workspace.path('shm.sock'), workspace.path('socket.sock')] as const
    const script = new URL('./peer.js', import.meta.url).href
    const peer = workspace.start('the peer', script, paths)
    await peer.receive((message) => ('ready' in (message as PeerMessage) ? true : undefined))
    return new Exchange(peer, await connect(paths[0]), paths[1])
  }

  private constructor(peer: Child, session: ShmSession, socketPath: string) {
    this.#peer = peer
    this.#session = session
    this.#socketPath = socketPath
  }

  /** Sends `exchanges` messages over each of the load's connections, and waits for all answers. */
  async run(load: Load, exchanges: number): Promise<Round> {
    const endpoints = await this.#endpointsFor(load)
    const peerBefore = await this.#announce(load)
    for (const endpoint of endpoints) endpoint.begin(load)

    const cpuBefore = process.cpuUsage()
    const startedAt = process.hrtime.bigint()
    await pingPong(endpoints, exchanges)
    const elapsed = process.hrtime.bigint() - startedAt
    const { user, system } = process.cpuUsage(cpuBefore)
    const peerCpu = (await this.#announce(load)) - peerBefore
    return {
      messages: 2 * exchanges * endpoints.length,
      elapsedMicroseconds: Number(elapsed) / 1000,
      cpuMicroseconds: user + system + peerCpu
    }
  }

  /** Ends every connection. Returns what should not have been. */
  async close(): Promise<string[]> {
    const problems: string[] = []
    const streams = [...this.#endpoints.shm, ...this.#endpoints.socket].map(({ stream }) => stream)
    await Promise.all(streams.map((stream) => once(stream.end(), 'close')))
    const { fallbackMessages, slicesInUse } = this.#session.statistics()
    if (fallbackMessages > 0) problems.push(`${fallbackMessages} messages went by the socket`)
    if (slicesInUse > 0) problems.push(`${slicesInUse} slices leaked`)
    await this.#session.close()
    return problems
  }

  async #endpointsFor({ transport, ways }: Load): Promise<Endpoint[]> {
    const endpoints = this.#endpoints[transport]
    while (endpoints.length < ways) endpoints.push(await this.#connect(transport))
    return endpoints.slice(0, ways)
  }

  async #connect(transport: Transport): Promise<Endpoint> {
    if (transport === 'shm') return new ShmEndpoint(this.#session.openStream())
    const socket = connectSocket({ path: this.#socketPath })
    await once(socket, 'connect')
    return new SocketEndpoint(socket)
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
