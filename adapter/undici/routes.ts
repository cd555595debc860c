/** Finds the socket of a host among exact names and `*.suffix` patterns. */
export class HostRoutes {
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

  /** @param host lower case, with its port when it is not the scheme's */
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
