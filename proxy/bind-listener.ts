/** Binds the address of a listener, of whatever kind. */
import { once } from 'node:events'
import { createServer, type Server } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import type { Logger } from 'pino'
import { claimPath, listen, type ShmSession } from '../adapter/shmipc/index.ts'
import type { ListenerConfig } from './config/types.ts'
import type { Attach } from './upstream/connect.ts'
import { ChannelWire } from './wire/channel-wire.ts'
import { SocketWire } from './wire/socket-wire.ts'

/** For how many turns of the event loop a listener that stops takes those who came before. */
const MAX_LAST_TURNS = 100

/** An address that is bound. */
export interface Binding {
  /** As a URL, with the port that was really bound. */
  readonly address: string
  readonly sessions: Iterable<ShmSession>
  /**
   * No new connections; the path disappears. Those that are open stay. Clients of shared memory are
   * asked to begin nothing more in it.
   */
  stop(): Promise<void>
  /** Resolves when what was sent can be lost no more by `destroy`. */
  delivered(): Promise<unknown>
  /** At once; ends what connections share as well. They are closed themselves before. */
  destroy(): void
}

/**
 * @param accept called with what makes the wire of each connection, or stream of shared memory
 * @throws the system's error, or a `ShmError`; nothing is bound then
 */
export function bindListener(
  config: ListenerConfig,
  accept: (attach: Attach) => void,
  log: Logger
): Promise<Binding> {
  return new Binder(config, accept, log).bind()
}

class Binder {
  readonly #config: ListenerConfig
  readonly #accept: (attach: Attach) => void
  readonly #log: Logger

  constructor(config: ListenerConfig, accept: (attach: Attach) => void, log: Logger) {
    this.#config = config
    this.#accept = accept
    this.#log = log
  }

  bind(): Promise<Binding> {
    const { address } = this.#config
    if (address.kind === 'http') return this.#bindTcp(address.host, address.port)
    return address.kind === 'unix' ? this.#bindUnix(address.path) : this.#bindShm(address.path)
  }

  async #bindTcp(host: string, port: number): Promise<Binding> {
    const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true })
    server.listen({ host, port })
    await this.#serve(server)
    const bound = server.address()
    const actual = typeof bound === 'object' && bound !== null ? bound.port : port
    const shown = host.includes(':') ? `[${host}]` : host
    return {
      address: `http://${shown}:${actual}`,
      sessions: [],
      stop: () => stopServer(server),
      delivered: () => Promise.resolve(),
      destroy: () => server.close()
    }
  }

  async #bindUnix(path: string): Promise<Binding> {
    const { takeover, mode, group } = this.#config
    const claim = await claimPath(path, { takeover, mode, group })
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true })
    try {
      server.listen({ path: claim.bindPath })
      await this.#serve(server)
      await claim.publish()
    } catch (error) {
      claim.release()
      server.close()
      throw error
    }
    return {
      address: `unix://${path}`,
      sessions: [],
      stop: () => {
        claim.release()
        return stopServer(server)
      },
      delivered: () => Promise.resolve(),
      destroy: () => server.close()
    }
  }

  async #bindShm(path: string): Promise<Binding> {
    const { tuning, takeover, mode, group, name } = this.#config
    const listener = await listen({ path, ...tuning, takeover, mode, group })
    listener.on('stream', (stream) => this.#accept((owner) => new ChannelWire(stream, owner)))
    listener.on('connection', (socket) =>
      this.#accept((owner) => SocketWire.over(socket, owner, true))
    )
    listener.on('refused', (reason) => {
      this.#log.warn({ listener: name, reason }, 'a shared-memory handshake failed')
    })
    return {
      address: `shm://${path}`,
      sessions: listener.sessions,
      stop: () => listener.leave(),
      delivered: () => Promise.all([...listener.sessions].map((session) => session.delivered())),
      destroy: () => {
        for (const session of listener.sessions) session.destroy()
      }
    }
  }

  async #serve(server: Server): Promise<void> {
    server.on('connection', (socket) => this.#accept((owner) => SocketWire.accept(socket, owner)))
    await once(server, 'listening')
    // Out of file descriptors: this client is lost, the listener is not.
    server.on('error', (error) => {
      const { name } = this.#config
      this.#log.error({ err: error, listener: name }, 'could not accept a connection')
    })
  }
}

/** Whom the kernel has connected is taken first: closing would reset them. */
async function stopServer(server: Server): Promise<void> {
  let accepted = true
  server.on('connection', () => {
    accepted = true
  })
  for (let turns = 0; accepted && turns < MAX_LAST_TURNS; turns++) {
    accepted = false
    // The first may end the turn in which it was looked for connections already.
    await setImmediate()
    await setImmediate()
  }
  // Its callback waits for the last connection to end; those are waited for one by one.
  server.close()
}
