import type { Logger } from 'pino'
import { DirectoryWatch } from '../../adapter/shmipc/index.ts'
import type { Endpoint } from './endpoint.ts'

/** The endpoints of `shm:///DIRECTORY/`: one for each socket there, for as long as it is there. */
export class EndpointDirectory {
  readonly #watch: DirectoryWatch
  readonly #add: (text: string, path: string) => Endpoint
  readonly #log: Logger
  readonly #endpoints = new Map<string, Endpoint>()
  /** Their sockets are gone, their requests may not be. */
  readonly #leaving = new Set<Endpoint>()

  /**
   * @param add makes the endpoint of a socket
   * @param changed there are others now than before
   */
  constructor(
    path: string,
    add: (text: string, path: string) => Endpoint,
    changed: () => void,
    log: Logger
  ) {
    this.#add = add
    this.#log = log
    this.#watch = new DirectoryWatch(path)
    this.#update(this.#watch.sockets)
    this.#watch.on('change', (sockets) => {
      this.#update(sockets)
      changed()
    })
  }

  get endpoints(): Endpoint[] {
    return [...this.#endpoints.values()]
  }

  /** Why there are no endpoints. */
  get problem(): string {
    return this.#watch.problem ?? `there is no socket in ${this.#watch.path}`
  }

  /** Endpoints stay as they are. */
  close(): void {
    this.#watch.close()
  }

  destroy(): void {
    this.#watch.close()
    for (const endpoint of [...this.#endpoints.values(), ...this.#leaving]) endpoint.destroy()
  }

  #update(sockets: readonly string[]): void {
    for (const [path, endpoint] of this.#endpoints) {
      if (sockets.includes(path)) continue
      this.#endpoints.delete(path)
      this.#leaving.add(endpoint)
      endpoint.retire(() => this.#leaving.delete(endpoint))
      this.#log.info({ endpoint: endpoint.label }, 'an endpoint has gone')
    }
    for (const path of sockets) {
      if (this.#endpoints.has(path)) continue
      const endpoint = this.#add(`shm://${encodeURI(path)}`, path)
      this.#endpoints.set(path, endpoint)
      this.#log.info({ endpoint: endpoint.label }, 'an endpoint has come')
    }
  }
}
