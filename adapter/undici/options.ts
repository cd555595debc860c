import type { Dispatcher } from 'undici'
import { InvalidArgumentError } from '../errors.ts'
import { defaultSocketPath, parseShmAddress } from '../shmipc/index.ts'

export interface ShmAgentOptions {
  /**
   * The proxy's socket: every `http:` request goes there, whatever its host.
   *
   * @defaultValue `outbound.sock` in `SHMESH_DIR`, else in `$XDG_RUNTIME_DIR/shmesh`, else in
   *   `<tmpdir>/shmesh-<uid>`; with `routes`: none
   */
  readonly uri?: string
  /**
   * Sockets by host: `{ 'orders.internal': 'shm:///run/orders.sock', '*.mesh': ... }`. A host is
   * exact (with its port when it is not 80) or `*.suffix`; exact wins, then the longest suffix.
   * Hosts that are not listed go to `uri` when it is given, else to `fallback`.
   */
  readonly routes?: Readonly<Record<string, string>>
  /** Shared memory per socket, with its unit. @defaultValue '64MiB' */
  readonly memory?: string
  /**
   * Connects to the origin itself when nobody listens on the socket. Each time is counted; the
   * first is logged as a warning. Without it, such a request fails with `UND_ERR_SOCKET`.
   *
   * @defaultValue false
   */
  readonly failOpen?: boolean
  /**
   * Dispatches what has no route.
   *
   * @defaultValue the dispatcher that was global when the agent was made
   */
  readonly fallback?: Dispatcher
  /** Dispatches `https:` origins, which never go to the proxy in clear. @defaultValue `fallback` */
  readonly https?: Dispatcher
}

export interface ResolvedAgentOptions {
  readonly uri: string | undefined
  readonly routes: ReadonlyMap<string, string>
  readonly memory: string | undefined
  readonly failOpen: boolean
  readonly fallback: Dispatcher
  readonly https: Dispatcher
}

const OPTIONS: readonly string[] = ['uri', 'routes', 'memory', 'failOpen', 'fallback', 'https']

/** @throws {InvalidArgumentError} */
export function resolveAgentOptions(
  given: string | ShmAgentOptions,
  globalDispatcher: () => Dispatcher
): ResolvedAgentOptions {
  const options = typeof given === 'string' ? { uri: given } : given
  if (typeof options !== 'object' || options === null) {
    throw new InvalidArgumentError('ShmAgent', 'given a shm:// address or an options object', given)
  }
  for (const name of Object.keys(options)) {
    if (OPTIONS.includes(name)) continue
    throw new InvalidArgumentError('ShmAgent', `given ${OPTIONS.join(', ')} only`, name)
  }
  const { failOpen = false, memory } = options
  if (typeof failOpen !== 'boolean') {
    throw new InvalidArgumentError('failOpen', 'true or false', failOpen)
  }
  const routes = new Map<string, string>()
  for (const [host, address] of Object.entries(options.routes ?? {})) {
    if (host === '' || host.includes('/')) {
      throw new InvalidArgumentError('routes', "a host such as 'orders.internal' or '*.mesh'", host)
    }
    routes.set(host.toLowerCase(), parseShmAddress(`routes[${host}]`, address))
  }
  const uri =
    options.uri ?? (options.routes === undefined ? defaultSocketPath('outbound') : undefined)
  const fallback = options.fallback ?? globalDispatcher()
  return {
    uri: uri === undefined ? undefined : parseShmAddress('uri', uri),
    routes,
    memory,
    failOpen,
    fallback,
    https: options.https ?? fallback
  }
}
