import { Agent, type AgentOptions, type ClientRequest } from 'node:http'
import { connect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { type RouteOptions, type Routes, resolveRoutes } from '../client/index.ts'
import { InvalidArgumentError } from '../errors.ts'
import { warnOnce } from '../log.ts'
import { parseMemory } from '../options.ts'
import { Link, type LinkStatistics, UnreachableError } from '../shmipc/index.ts'

/** Those of `http.Agent`, and where requests go. `keepAlive` is `true` unless it is given. */
export interface ShmHttpAgentOptions extends AgentOptions, RouteOptions {
  /** Shared memory per socket, with its unit. @defaultValue '64MiB' */
  readonly memory?: string
  /**
   * Connects to the host itself when nobody listens on the socket. Each time is counted; the first
   * is logged as a warning. Without it such a request fails, with `ENOENT`, `ECONNREFUSED` and so on.
   *
   * @defaultValue false
   */
  readonly failOpen?: boolean
}

export interface ShmHttpAgentStatistics {
  readonly links: readonly LinkStatistics[]
  /** Connections made past the proxy because nobody listened on its socket. */
  readonly failedOpen: number
}

interface Target {
  readonly host?: string | undefined
  readonly port?: number | string | undefined
  readonly timeout?: number | undefined
  readonly socketPath?: string | undefined
}

type Connected = (error: Error | null, stream: Duplex) => void

/** What node:http calls for each request; not in its types. */
const { addRequest } = Agent.prototype as unknown as {
  addRequest(request: ClientRequest, options: Target, ...rest: unknown[]): void
}

/**
 * An `http.Agent` whose connections travel through shared memory: for axios, got, and every client
 * and SDK on node:http. Hosts without a route are connected to as ever; `https:` needs its own
 * agent.
 *
 *     const agent = new ShmHttpAgent({ routes: { 'orders.internal': 'shm:///run/orders.sock' } })
 *     http.get('http://orders.internal/', { agent })
 */
export class ShmHttpAgent extends Agent {
  readonly #routes: Routes
  readonly #memory: string | undefined
  readonly #failOpen: boolean
  /** By socket path. */
  readonly #links = new Map<string, Link>()
  /** Open connections by link. */
  readonly #streams = new WeakMap<Link, Set<Duplex>>()
  #failedOpen = 0

  /** @throws {InvalidArgumentError} (`SHM_ERR_INVALID_ARG`) */
  constructor(options: string | ShmHttpAgentOptions = {}) {
    const given = typeof options === 'string' ? { uri: options } : options
    const { uri, routes, memory, failOpen = false, ...rest } = given
    super({ keepAlive: true, ...rest })
    if (typeof failOpen !== 'boolean') {
      throw new InvalidArgumentError('failOpen', 'true or false', failOpen)
    }
    parseMemory('memory', memory)
    this.#routes = resolveRoutes({ ...(uri !== undefined && { uri }), ...(routes && { routes }) })
    this.#memory = memory
    this.#failOpen = failOpen
  }

  /** @internal Of `http.Agent`: connections are counted when they are made, so nothing waits there. */
  addRequest(request: ClientRequest, options: Target, ...rest: unknown[]): void {
    const add = () => addRequest.call(this, request, options, ...rest)
    const link = this.#linkTo(options)
    if (link === undefined) add()
    // How it failed is found by `createConnection`.
    else link.prepare().then(add, add)
  }

  /** @internal Of `http.Agent`. */
  override createConnection(options: Target, onConnected?: Connected): Duplex | undefined {
    const link = this.#linkTo(options)
    if (link === undefined) return connect(options as never)
    const now = link.connectNow()
    if (now !== undefined) return this.#keep(link, now.stream, options)
    link.connect().then(
      ({ stream }) => onConnected?.(null, this.#keep(link, stream, options)),
      (error: Error) => {
        const open = this.#failOpen && error instanceof UnreachableError
        if (open) onConnected?.(null, this.#connectPast(error, options))
        else onConnected?.(error, undefined as never)
      }
    )
    return undefined
  }

  /** @internal Of `http.Agent`: what its server is leaving is not used again. */
  override keepSocketAlive(socket: Duplex): boolean {
    if ((socket as Duplex & { retiring?: boolean }).retiring === true) return false
    return super.keepSocketAlive(socket) as unknown as boolean
  }

  statistics(): ShmHttpAgentStatistics {
    return {
      links: [...this.#links.values()].map((link) => link.statistics()),
      failedOpen: this.#failedOpen
    }
  }

  /** Ends every connection, and gives the shared memory back. A later request begins anew. */
  override destroy(): void {
    super.destroy()
    for (const link of this.#links.values()) link.destroy()
    this.#links.clear()
  }

  #linkTo({ host = 'localhost', port = 80, socketPath }: Target): Link | undefined {
    if (socketPath) return undefined
    const name = host.includes(':') ? `[${host}]` : host
    const path = this.#routes.find((Number(port) === 80 ? name : `${name}:${port}`).toLowerCase())
    if (path === undefined) return undefined
    const known = this.#links.get(path)
    if (known !== undefined) return known
    const link = new Link(path, { memory: this.#memory })
    this.#links.set(path, link)
    this.#streams.set(link, new Set())
    link.on('renew', (waitUntil) => waitUntil(this.#retire(link)))
    return link
  }

  #keep(link: Link, stream: Duplex, { timeout }: Target): Duplex {
    const streams = this.#streams.get(link)!
    streams.add(stream)
    stream.once('close', () => streams.delete(stream))
    // As net.connect does with this option.
    if (timeout) (stream as Socket).setTimeout(timeout)
    return stream
  }

  #connectPast(reason: Error, options: Target): Socket {
    this.#failedOpen++
    warnOnce(
      'SHMESH_FAILED_OPEN',
      `${reason.message}: requests go to their host without the proxy (failOpen)`
    )
    return connect(options as never)
  }

  /** Ends idle connections now; resolves when the others have ended. */
  async #retire(link: Link): Promise<void> {
    const idle = new Set<unknown>(Object.values(this.freeSockets).flat())
    const busy: Promise<void>[] = []
    for (const stream of [...this.#streams.get(link)!]) {
      if (idle.has(stream)) stream.destroy()
      else busy.push(new Promise((resolve) => stream.once('close', resolve)))
    }
    await Promise.all(busy)
  }
}
