/**
 * Operation over HTTP. `admin` serves everything and belongs on loopback; `health` serves only what
 * kubelet and Prometheus ask for and may be reachable from elsewhere.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { type AddressInfo, isIP } from 'node:net'
import type { Logger } from 'pino'
import { type ClaimedPath, claimPath } from '../adapter/shmipc/index.ts'
import type { Address } from './config/address.ts'
import type { MeshProxy } from './proxy.ts'
import { hostOf } from './routes.ts'

interface Answer {
  readonly status: number
  readonly body: string
  readonly type?: string
}

const PATHS = '/ready /live /metrics /stats /clusters /shm /config_dump, POST /drain'
const HEALTH_PATHS = ['/ready', '/live', '/metrics']

export class Admin {
  readonly name: 'admin' | 'health'
  readonly #address: Address
  readonly #proxy: MeshProxy
  readonly #log: Logger
  readonly #server: Server
  #claim: ClaimedPath | undefined

  constructor(name: 'admin' | 'health', address: Address, proxy: MeshProxy, log: Logger) {
    this.name = name
    this.#address = address
    this.#proxy = proxy
    this.#log = log
    this.#server = createServer((request, response) => {
      this.#serve(request, response).catch((error: unknown) => {
        this.#log.error({ err: error }, `${this.name} server`)
        response.writeHead(500).end('the proxy failed; its log has the error\n')
      })
    })
  }

  get address(): string {
    if (this.#address.kind !== 'http') return `unix://${this.#address.path}`
    const bound = this.#server.address()
    const { host, port } = this.#address
    const actual = typeof bound === 'object' && bound !== null ? bound.port : port
    return `http://${host.includes(':') ? `[${host}]` : host}:${actual}`
  }

  async listen(): Promise<void> {
    const server = this.#server
    if (this.#address.kind === 'http') {
      server.listen({ host: this.#address.host, port: this.#address.port })
      await once(server, 'listening')
      this.#warnUnlessLocal(server.address() as AddressInfo)
    } else {
      this.#claim = await claimPath(this.#address.path)
      server.listen({ path: this.#claim.bindPath })
      await once(server, 'listening')
      await this.#claim.publish()
    }
    server.on('error', (error) => this.#log.error({ err: error }, `${this.name} server`))
  }

  destroy(): void {
    this.#claim?.release()
    this.#server.close()
    this.#server.closeAllConnections()
  }

  #warnUnlessLocal({ address }: AddressInfo): void {
    if (this.name !== 'admin' || address === '::1' || address.startsWith('127.')) return
    this.#log.warn(
      { address: this.address },
      'other hosts can reach admin, which shows the configuration and stops the proxy on POST ' +
        '/drain; bind it to 127.0.0.1, and let probes and Prometheus ask health'
    )
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { status, body, type = 'text/plain; charset=utf-8' } = await this.#answer(request)
    response.writeHead(status, {
      'content-type': type,
      'content-length': Buffer.byteLength(body),
      'cache-control': 'no-store'
    })
    response.end(request.method === 'HEAD' ? undefined : body)
  }

  #answer(request: IncomingMessage): Answer | Promise<Answer> {
    const path = (request.url ?? '/').split('?', 1)[0] as string
    if (this.name === 'health') {
      if (!HEALTH_PATHS.includes(path))
        return { status: 404, body: 'only /ready, /live, /metrics\n' }
    } else if (!this.#isLocal(request)) {
      return { status: 403, body: 'the Host or Origin of this request is not this server\n' }
    }
    const method = path === '/drain' ? 'POST' : 'GET'
    if (request.method !== method && !(method === 'GET' && request.method === 'HEAD')) {
      return { status: 405, body: `use ${method}\n` }
    }
    return this.#route(path)
  }

  async #route(path: string): Promise<Answer> {
    switch (path) {
      case '/ready': {
        const reasons = await this.#proxy.unready()
        if (reasons.length === 0) return { status: 200, body: 'ready\n' }
        return { status: 503, body: `not ready: ${reasons.join(', ')}\n` }
      }
      case '/live':
        return { status: 200, body: 'live\n' }
      case '/stats':
        return json(this.#proxy.statistics())
      case '/clusters':
        return json(this.#proxy.statistics().clusters)
      case '/shm':
        return json(this.#proxy.sharedMemory())
      case '/config_dump':
        return json(this.#proxy.config)
      case '/metrics':
        return {
          status: 200,
          body: await this.#proxy.metrics(),
          type: 'text/plain; version=0.0.4; charset=utf-8'
        }
      case '/drain':
        setImmediate(() => this.#proxy.requestDrain())
        return { status: 202, body: 'draining\n' }
      default:
        return { status: 404, body: `${PATHS}\n` }
    }
  }

  /**
   * A page in somebody's browser can be made to send requests here: by a name that resolves to this
   * address (then Host is that name), or across origins (then Origin is the page's).
   */
  #isLocal(request: IncomingMessage): boolean {
    const host = request.headers.host
    if (host === undefined || !this.#isOurs(hostOf(host))) return false
    const origin = request.headers.origin
    return origin === undefined || origin === `http://${host}`
  }

  #isOurs(host: string): boolean {
    const bare = host.startsWith('[') ? host.slice(1, -1) : host
    if (isIP(bare) !== 0 || host === 'localhost') return true
    return this.#address.kind === 'http' ? host === this.#address.host.toLowerCase() : true
  }
}

function json(value: unknown): Answer {
  return { status: 200, body: `${JSON.stringify(value, null, 2)}\n`, type: 'application/json' }
}
