import { InvalidArgumentError } from '../errors.ts'
import { defaultSocketPath, parseShmAddress, parseShmDirectory } from '../shmipc/index.ts'

/** Which requests go through shared memory, and to whose socket. */
export interface RouteOptions {
  /**
   * The proxy's socket: every `http:` request goes there, whatever its host. With a slash at its end
   * (`shm:///run/app/`) it is a directory, and requests are spread over the sockets in it.
   *
   * @defaultValue `outbound.sock` in `SHMESH_DIR`, else in `$XDG_RUNTIME_DIR/shmesh`, else in
   *   `<tmpdir>/shmesh-<uid>`; with `routes`: none
   */
  readonly uri?: string
  /**
   * Sockets by host: `{ 'orders.internal': 'shm:///run/orders.sock', '*.mesh': ... }`. A host is
   * exact (with its port when it is not 80) or `*.suffix`; exact wins, then the longest suffix.
   * Hosts that are not listed go to `uri` when it is given, else where they went without shmesh. Or
   * a function that says it: called for an origin with nothing open, so that what it says may
   * change.
   */
  readonly routes?: Readonly<Record<string, string>> | ((host: string) => string | undefined)
}

/** Finds the socket of a host. */
export interface Routes {
  /** A host has the same socket for ever. */
  readonly fixed: boolean
  /**
   * @param host lower case, with its port when it is not the scheme's
   * @returns a socket path; that of a directory ends with a slash
   */
  find(host: string): string | undefined
}

/** Among exact names and `*.suffix` patterns. */
export class HostRoutes implements Routes {
  readonly fixed = true
  readonly #exact = new Map<string, string>()
  /** Longest first. */
  readonly #suffixes: [suffix: string, path: string][] = []
  readonly #otherwise: string | undefined

  constructor(routes: ReadonlyMap<string, string>, otherwise: string | undefined) {
    for (const [host, path] of routes) {
      if (host.startsWith('*.')) this.#suffixes.push([host.slice(1), path])
      else this.#exact.set(host, path)
    }
    this.#suffixes.sort(([a], [b]) => b.length - a.length)
    this.#otherwise = otherwise
  }

  find(host: string): string | undefined {
    const exact = this.#exact.get(host)
    if (exact !== undefined) return exact
    const name = host.replace(/:\d+$/, '')
    for (const [suffix, path] of this.#suffixes) {
      if (name.endsWith(suffix)) return path
    }
    return this.#otherwise
  }
}

/** Of a function of the user's. */
export class AskedRoutes implements Routes {
  readonly fixed = false
  readonly #ask: (host: string) => string | undefined
  readonly #otherwise: string | undefined

  constructor(ask: (host: string) => string | undefined, otherwise: string | undefined) {
    this.#ask = ask
    this.#otherwise = otherwise
  }

  /** @throws {InvalidArgumentError} when it is given what is no address */
  find(host: string): string | undefined {
    const address = this.#ask(host)
    return address === undefined ? this.#otherwise : parseAddress(`routes(${host})`, address)
  }
}

/** A star stands for whole labels, at the beginning only. */
const HOST = /^(\*\.)?[^*/]+$/

/** @throws {InvalidArgumentError} */
export function resolveRoutes({ uri, routes }: RouteOptions): Routes {
  const address = uri ?? (routes === undefined ? defaultSocketPath('outbound') : undefined)
  const otherwise = address === undefined ? undefined : parseAddress('uri', address)
  if (typeof routes === 'function') return new AskedRoutes(routes, otherwise)
  if (routes !== undefined && (typeof routes !== 'object' || routes === null)) {
    throw new InvalidArgumentError('routes', 'addresses by host, or a function', routes)
  }
  const paths = new Map<string, string>()
  for (const [host, given] of Object.entries(routes ?? {})) {
    if (host === '*') {
      throw new InvalidArgumentError('routes', "hosts: every other one goes to 'uri'", host)
    }
    if (!HOST.test(host)) {
      throw new InvalidArgumentError('routes', "a host such as 'orders.internal' or '*.mesh'", host)
    }
    paths.set(host.toLowerCase(), parseAddress(`routes[${host}]`, given))
  }
  return new HostRoutes(paths, otherwise)
}

function parseAddress(option: string, address: string): string {
  const directory = parseShmDirectory(option, address)
  return directory === undefined ? parseShmAddress(option, address) : `${directory}/`
}
