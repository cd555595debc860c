/**
 * The Fastify plugin: `await app.register(shmesh)`, and the app serves shared memory as it serves
 * TCP. Routes, hooks, plugins, logging and errors do not change.
 */
import type { FastifyPluginAsync, FastifyReply } from 'fastify'
import fp from 'fastify-plugin'
import { countIn, resolveServerOptions, ServedPaths, type ServerOptions } from '../server/index.ts'
import { type SessionStatistics, SharedBody } from '../shmipc/index.ts'
import { bufferParser } from './buffer-parser.ts'
import { ReplyMemory } from './reply-memory.ts'

export type { BufferParserOptions } from './buffer-parser.ts'
export type { ReplyMemory } from './reply-memory.ts'

/** Of `app.register(shmesh, options)`. */
export type ShmPluginOptions = ServerOptions

export interface ShmServer {
  /** Unix sockets the app serves. */
  readonly paths: readonly string[]
  /** `socket` when shared memory cannot be had; undefined before the app is ready. */
  readonly transport: 'shm' | 'socket' | undefined
  /**
   * A Buffer of the same bytes that may be sent in any number of responses: it is copied to each
   * client's shared memory once and read there by all of them. It is immutable: what is written to
   * it afterwards, or to `bytes`, is not sent. Over sockets it is sent as any Buffer.
   *
   *     const logo = app.shm.share(await readFile('logo.png'))
   *     app.get('/logo.png', (_, reply) => reply.type('image/png').send(logo))
   */
  share(bytes: Uint8Array): Buffer
  /** Gives the shared memory of a Buffer from `share` back, when its last reader is done. */
  unshare(buffer: Buffer): void
  /** One entry per session: memory, slices in use, wake-ups, fallbacks. */
  statistics(): SessionStatistics[]
}

declare module 'fastify' {
  interface FastifyInstance {
    shm: ShmServer
  }
  interface FastifyReply {
    shm: ReplyMemory
  }
}

/** Given by Fastify to every plugin. */
const FASTIFY_OPTIONS = ['prefix', 'logLevel', 'logSerializers']

const register: FastifyPluginAsync<ShmPluginOptions> = async (app, options) => {
  const resolved = resolveServerOptions('the shmesh plugin', options, FASTIFY_OPTIONS)
  const served = new ServedPaths(app.server, resolved, app.log)
  const force = app.initialConfig.forceCloseConnections === true
  const close = () => served.close(!force, force ? 0 : resolved.drainTimeoutMs)
  countIn(app.server, served, close)

  app.decorate('shm', {
    paths: served.paths,
    get transport() {
      return served.transport
    },
    share: (bytes: Uint8Array) => new SharedBody(bytes).buffer,
    unshare: (buffer: Buffer) => SharedBody.of(buffer)?.close(),
    statistics: () => served.statistics()
  })
  app.decorateReply('shm', {
    getter(this: FastifyReply) {
      return new ReplyMemory(this.raw.socket)
    }
  })

  app.addHook('onReady', async () => {
    await served.open()
    // Run first of all, for it is registered last. From `preClose` on Fastify answers 503.
    if (!force) (app as Partial<Closing>).onClose?.(() => served.leave(true))
  })

  // As Fastify says of its own sockets, and then only: an app that does not listen logs nothing more.
  app.addHook('onListen', async () => {
    for (const path of served.paths) app.log.info(`Server listening at shm://${path}`)
  })

  // Begins to end it, and waits for nothing: this kind of hook may take ten seconds only, and
  // others close what they keep open, such as WebSockets. `server.close` waits.
  app.addHook('preClose', async () => {
    void close()
  })
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
