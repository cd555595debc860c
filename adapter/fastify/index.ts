/**
 * The Fastify plugin: `await app.register(shmesh)`, and the app serves shared memory as it serves
 * TCP. Routes, hooks, plugins, logging and errors do not change.
 */
import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { InvalidArgumentError } from '../errors.ts'
import { countIn, resolveServerOptions, ServedPaths, type ServerOptions } from '../server/index.ts'
import { type SessionReport, type SessionStatistics, SharedBody } from '../shmipc/index.ts'
import { bufferParser } from './buffer-parser.ts'
import { lendToParsers } from './own-parsers.ts'
import { ReplyMemory } from './reply-memory.ts'

export type { BufferParserOptions } from './buffer-parser.ts'
export type { ReplyMemory } from './reply-memory.ts'
export type { SessionReport, SessionStatistics }

/** Of `app.register(shmesh, options)`. */
export interface ShmPluginOptions extends ServerOptions {
  /**
   * When the app is served. `ready`: as part of `app.ready()`, and so of `app.listen()`; what fails
   * fails it. `listen`: when `app.listen()` has bound its own address, so that both appear together;
   * a failure then closes the app. `manual`: when `app.shm.listen()` is called.
   *
   * @defaultValue 'ready'
   */
  readonly listen?: 'ready' | 'listen' | 'manual'
}

export interface ShmServer {
  /** What clients are given: `shm:///run/shmesh/app.sock`; of several paths the first. */
  readonly address: string
  /** Unix sockets the app serves; of a directory, when it does, the one of this thread. */
  readonly paths: readonly string[]
  /** `socket` when shared memory cannot be had; undefined before the app is ready. */
  readonly transport: 'shm' | 'socket' | undefined
  /**
   * Serves the paths: with `listen: 'manual'`; else it has been done, or will be.
   *
   * @throws {ShmError} `SHM_ERR_ADDRESS`, `SHM_ERR_ADDRESS_IN_USE`, `SHM_ERR_PERMISSION`: nothing is
   *   left behind, and it may be tried again; `SHM_ERR_SESSION_CLOSED` when the app closes
   */
  listen(): Promise<void>
  /**
   * A Buffer of the same bytes that may be sent in any number of responses: it is copied to each
   * client's shared memory once and read there by all of them. It must not be written to; what
   * becomes of `bytes` changes nothing. Below 128 KiB, where a copy costs less than lending, and
   * over sockets it is sent as any Buffer.
   *
   *     const logo = app.shm.share(await readFile('logo.png'))
   *     app.get('/logo.png', (_, reply) => reply.type('image/png').send(logo))
   */
  share(bytes: Uint8Array): Buffer
  /** Gives the shared memory of a Buffer from `share` back, when its last reader is done. */
  unshare(buffer: Buffer): void
  /** One entry per session: memory, slices in use, wake-ups, fallbacks. */
  statistics(): SessionStatistics[]
  /** The same, and what each stream waits for and holds. */
  inspect(): SessionReport[]
}

declare module 'fastify' {
  interface FastifyInstance {
    shm: ShmServer
  }
  interface FastifyRequest {
    /** As that of its reply. */
    shm: ReplyMemory
  }
  interface FastifyReply {
    shm: ReplyMemory
  }
}

/** Given by Fastify to every plugin. */
const FASTIFY_OPTIONS = ['prefix', 'logLevel', 'logSerializers']

const register: FastifyPluginAsync<ShmPluginOptions> = async (app, options) => {
  const { listen = 'ready', ...server } = options
  if (!['ready', 'listen', 'manual'].includes(listen)) {
    throw new InvalidArgumentError('listen', "'ready', 'listen' or 'manual'", listen)
  }
  const resolved = resolveServerOptions('the shmesh plugin', server, ['listen'], FASTIFY_OPTIONS)
  lendToParsers(app)
  const served = new ServedPaths(app.server, resolved, app.log)
  const force = app.initialConfig.forceCloseConnections === true
  const close = () => served.close(!force, force ? 0 : resolved.drainTimeoutMs)
  countIn(app.server, served, close)
  const open = async () => {
    await served.open()
    // Run first of all, for it is registered last. From `preClose` on Fastify answers 503.
    if (!force) (app as Partial<Closing>).onClose?.(() => served.leave(true))
  }

  app.decorate('shm', {
    address: served.address,
    get paths() {
      return served.paths
    },
    get transport() {
      return served.transport
    },
    listen: open,
    share: (bytes: Uint8Array) => new SharedBody(bytes).buffer,
    unshare: (buffer: Buffer) => SharedBody.of(buffer)?.close(),
    statistics: () => served.statistics(),
    inspect: () => served.report()
  })
  app.decorateRequest('shm', {
    getter(this: FastifyRequest) {
      return new ReplyMemory(this)
    }
  })
  app.decorateReply('shm', {
    getter(this: FastifyReply) {
      return new ReplyMemory(this.request)
    }
  })

  // An app that is closed while it starts is not served, and closes as any other does.
  const openUnlessClosing = async () => {
    if (!served.closing) await open()
  }
  if (listen === 'ready') app.addHook('onReady', openUnlessClosing)

  // As Fastify says of its own sockets, and then only: an app that does not listen logs nothing more.
  app.addHook('onListen', async () => {
    if (listen === 'listen') await openUnlessClosing().catch((error) => giveUp(app, error))
    if (served.transport === undefined) return
    for (const path of served.paths) app.log.info(`Server listening at shm://${path}`)
  })

  // Begins to end it, and waits for nothing: this kind of hook may take ten seconds only, and
  // others close what they keep open, such as WebSockets. `server.close` waits.
  app.addHook('preClose', async () => {
    void close()
  })
}

/** Fastify only logs what this hook throws, and would go on without the paths. */
function giveUp(app: FastifyInstance, error: unknown): void {
  app.log.error(error, 'the app closes, for it cannot be served through shared memory')
  // Not awaited: closing waits for the hook.
  void app.close()
}

/** Of avvio, which Fastify is built on: what `addHook('onClose')` calls, at any time. */
interface Closing {
  onClose(action: () => Promise<void>): void
}

interface ShmPlugin extends FastifyPluginAsync<ShmPluginOptions> {
  readonly bufferParser: typeof bufferParser
}

const plugin: ShmPlugin = Object.assign(fp(register, { fastify: '5.x', name: 'shmesh' }), {
  bufferParser
})

// The third name makes require() return the plugin itself, as Fastify users expect.
export { bufferParser, plugin as default, plugin as 'module.exports', plugin as shmesh }
