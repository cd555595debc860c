import type { Server } from 'node:http'
import { warnOnce } from '../log.ts'
import { countIn, resolveServerOptions, ServedPaths, type ServerOptions } from '../server/index.ts'
import type { SessionReport, SessionStatistics } from '../shmipc/index.ts'

export type AttachOptions = ServerOptions

/** A server's presence on the paths it was attached to. */
export interface Attachment {
  /** What clients are given: `shm:///run/shmesh/app.sock`; of several paths the first. */
  readonly address: string
  /** Unix sockets the server serves. */
  readonly paths: readonly string[]
  /** `socket` when shared memory cannot be had. */
  readonly transport: 'shm' | 'socket'
  /** Open connections, over shared memory and over plain sockets on these paths. */
  readonly connections: number
  /** One entry per session: memory, slices in use, wake-ups, fallbacks. */
  statistics(): SessionStatistics[]
  /** The same, and what each stream waits for and holds. */
  inspect(): SessionReport[]
  /**
   * Accepts nobody new, answers what is under way for as long as `drainTimeout`, and removes the
   * paths. The server's own `close()` does it too.
   */
  close(): Promise<void>
}

/**
 * Serves `server` through shared memory, beside whatever it listens on: Express, Koa, Hono, NestJS,
 * or a listener of your own. The server need not listen at all.
 *
 *     const server = createServer(app).listen(8080)
 *     await attach(server, { path: '/run/shmesh/app.sock' })
 *
 * @throws {ShmError} `SHM_ERR_INVALID_ARG`, `SHM_ERR_ADDRESS`, `SHM_ERR_ADDRESS_IN_USE`,
 *   `SHM_ERR_PERMISSION`; nothing is left behind then
 */
export async function attach(server: Server, options: AttachOptions = {}): Promise<Attachment> {
  const resolved = resolveServerOptions('attach', options)
  const served = new ServedPaths(server, resolved, {
    warn: ({ path, reason }, message) => {
      if (reason !== undefined)
        warnOnce('SHMESH_SESSION_REFUSED', `${message} on ${path}: ${reason}`)
    }
  })
  await served.open()
  const close = async (): Promise<void> => {
    await served.close(true, resolved.drainTimeoutMs)
    uncount()
  }
  const uncount = countIn(server, served, close)
  return {
    address: served.address,
    paths: served.paths,
    transport: served.transport!,
    get connections() {
      return served.connections
    },
    statistics: () => served.statistics(),
    inspect: () => served.report(),
    close
  }
}
