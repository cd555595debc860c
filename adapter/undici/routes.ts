import { parseShmAddress } from '../shmipc/index.ts'

/** Finds the socket of a host. */
export interface Routes {
  /** A host has the same socket for ever. */
  readonly fixed: boolean
  /**
   * @param host lower case, with its port when it is not the scheme's
   * @returns a socket path
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
    return address === undefined ? this.#otherwise : parseShmAddress(`routes(${host})`, address)
  }
}
