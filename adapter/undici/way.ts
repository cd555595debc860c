import type { Duplex } from 'node:stream'
import { buildConnector } from 'undici'
import { ShmError } from '../errors.ts'
import { warnOnce } from '../log.ts'
import {
  type ConnectOptions,
  Link,
  type LinkStatistics,
  UnreachableError
} from '../shmipc/index.ts'
import { translateError } from './translate-error.ts'

/** A session may leave between two turns of the loop; more often than this it is broken. */
const MAX_ATTEMPTS = 3

/** How connections to a socket's origins are opened: by its link, or past it when it may. */
export class Way {
  readonly path: string
  readonly link: Link
  readonly #direct: ReturnType<typeof buildConnector> | undefined
  /** Connections made past the proxy because nobody listened on its socket. */
  failedOpen = 0
  readonly #problem: () => string | undefined

  /** @param problem why nobody can listen there, in better words than the system's */
  constructor(
    path: string,
    session: ConnectOptions,
    failOpen: boolean,
    problem: () => string | undefined
  ) {
    this.path = path
    this.#problem = problem
    this.link = new Link(path, session)
    this.#direct = failOpen ? buildConnector({}) : undefined
  }

  /**
   * @param others sockets that might serve it as well: then nothing is done without a proxy
   * @throws errors of undici
   */
  async connect(origin: URL, others: { canPassOn(path: string): boolean }): Promise<Duplex> {
    for (let attempt = 1; ; attempt++) {
      try {
        const { stream } = await this.link.connect()
        return stream
      } catch (error) {
        if (error instanceof UnreachableError) {
          const problem = this.#problem()
          if (problem !== undefined) error.message = problem
          if (this.#direct !== undefined && !others.canPassOn(this.path)) {
            return this.#failOpen(origin, error)
          }
        }
        if (isClosed(error) && attempt < MAX_ATTEMPTS) continue
        throw translateError(error as Error)
      }
    }
  }

  statistics(): LinkStatistics {
    return this.link.statistics()
  }

  #failOpen({ hostname, host, protocol, port }: URL, reason: Error): Promise<Duplex> {
    this.failedOpen++
    warnOnce(
      'SHMESH_FAILED_OPEN',
      `${reason.message}: requests go to their origin without the proxy (failOpen)`
    )
    return new Promise((resolve, reject) => {
      this.#direct!({ hostname, host, protocol, port }, (error, socket) => {
        if (socket === null) reject(error)
        else resolve(socket)
      })
    })
  }
}

function isClosed(error: unknown): boolean {
  return error instanceof ShmError && error.code === 'SHM_ERR_SESSION_CLOSED'
}
