import { Agent, type AgentOptions, type ClientRequest } from 'node:http'
import { connect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { type RouteOptions, type Routes, resolveRoutes, SocketChoice } from '../client/index.ts'
import { InvalidArgumentError } from '../errors.ts'
import { warnOnce } from '../log.ts'
import { checkBoolean, parseMemory } from '../options.ts'
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

interface Way {
  readonly link: Link
  /** Of the directory whose socket it is chosen from. */
  readonly choice: SocketChoice | undefined
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
  /** By directory. */
  readonly #choices = new Map<string, SocketChoice>()
  /** Open connections by link, each with the promise of its close. */
  readonly #streams = new WeakMap<Link, Map<Duplex, Promise<void>>>()
  #failedOpen = 0

  /** @throws {InvalidArgumentError} (`SHM_ERR_INVALID_ARG`) */
  constructor(options: string | ShmHttpAgentOptions = {}) {
    const given = typeof options === 'string' ? { uri: options } : options
    if (typeof given !== 'object' || given === null) {
      throw new InvalidArgumentError('ShmHttpAgent', 'given an address or an options object', given)
    }
    const { uri, routes, memory, failOpen = false, ...rest } = given
    super({ keepAlive: true, ...rest })
    checkBoolean('failOpen', failOpen)
    parseMemory('memory', memory)
    this.#routes = resolveRoutes({
      ...(uri !== undefined && { uri }),
      ...(routes !== undefined && { routes })
    })
    this.#memory = memory
    this.#failOpen = failOpen
  }

  /** @internal Of `http.Agent`: connections are counted when they are made, so nothing waits there. */
  addRequest(request: ClientRequest, options: Target, ...rest: unknown[]): void {
    const add = () => addRequest.call(this, request, options, ...rest)
    const way = this.#wayTo(options)
    if (way === undefined) add()
    // How it failed is found by `createConnection`.
    else way.link.prepare().then(add, add)
  }

  /** @internal Of `http.Agent`. */
  override createConnection(options: Target, onConnected?: Connected): Duplex | undefined {
    const way = this.#wayTo(options)
    if (way === undefined) return connect(options as never)
    way.choice?.took(way.link.path)
    const now = way.link.connectNow()
    if (now !== undefined) return this.#keep(way.link, now.stream, options)
    this.#connect(way, options).then(
      (stream) => onConnected?.(null, stream),
      (error: Error) => onConnected?.(error, undefined as never)
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
    for (const choice of this.#choices.values()) choice.close()
    this.#choices.clear()
    for (const link of this.#links.values()) link.destroy()
    this.#links.clear()
  }

  #wayTo({ host = 'localhost', port = 80, socketPath }: Target): Way | undefined {
    if (socketPath) return undefined
    const name = host.includes(':') ? `[${host}]` : host
    const path = this.#routes.find((Number(port) === 80 ? name : `${name}:${port}`).toLowerCase())
    if (path === undefined) return undefined
    if (!path.endsWith('/')) return { link: this.#linkBy(path), choice: undefined }
    const choice = this.#choiceIn(path.slice(0, -1))
    // The directory itself, where nobody listens, when it has no socket.
    return { link: this.#linkBy(choice.any(this.#load) ?? choice.directory), choice }
  }

  #choiceIn(directory: string): SocketChoice {
    const known = this.#choices.get(directory)
    if (known !== undefined) return known
    const choice = new SocketChoice(directory, (path) => this.#leave(path))
    this.#choices.set(directory, choice)
    return choice
  }

  readonly #load = (path: string): number => this.#links.get(path)?.connections ?? 0

  #linkBy(path: string): Link {
    const known = this.#links.get(path)
    if (known !== undefined) return known
    const link = new Link(path, { memory: this.#memory })
    this.#links.set(path, link)
    this.#streams.set(link, new Map())
    link.on('renew', (waitUntil) => waitUntil(this.#retire(link)))
    return link
  }

  /** By `link`, or by another socket to choose from when nobody listens there any more. */
  async #connect({ link, choice }: Way, options: Target): Promise<Duplex> {
    try {
      const { stream } = await link.connect()
      choice?.worked(link.path)
      return this.#keep(link, stream, options)
    } catch (error) {
      if (!(error instanceof UnreachableError)) throw error
      choice?.failed(link.path)
      const other = choice?.alive(this.#load)
      if (other !== undefined) return this.#connect({ link: this.#linkBy(other), choice }, options)
      if (this.#failOpen) return this.#connectPast(error, options)
      throw error
    }
  }

  /** The socket was removed: its server ends what it has begun. */
  async #leave(path: string): Promise<void> {
    const link = this.#links.get(path)
    if (link === undefined) return
    this.#links.delete(path)
    await this.#retire(link)
    await link.close()
  }

  #keep(link: Link, stream: Duplex, { timeout }: Target): Duplex {
    const streams = this.#streams.get(link)!
    const closed = new Promise<void>((resolve) => stream.once('close', resolve))
    streams.set(stream, closed)
    stream.once('close', () => streams.delete(stream))
    // Who upgrades counts on it, as on a socket's: it ends behind the end of its server.
    stream.allowHalfOpen = false
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
    for (const [stream, closed] of [...this.#streams.get(link)!]) {
      if (idle.has(stream)) stream.destroy()
      else busy.push(closed)
    }
    await Promise.all(busy)
  }
}
