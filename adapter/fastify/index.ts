/**
 * The Fastify plugin: `await app.register(shmesh)`, and the app serves shared memory as it serves
 * TCP. Routes, hooks, plugins, logging and errors do not change.
 */
import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import fp from 'fastify-plugin'
import { HttpConnections, ServerConnections } from '../http1/index.ts'
import { listen, type SessionStatistics, type ShmListener } from '../shmipc/index.ts'
import { bufferParser } from './buffer-parser.ts'
import { resolveOptions, type ShmPluginOptions } from './options.ts'

export type { BufferParserOptions } from './buffer-parser.ts'
export type { ShmPluginOptions } from './options.ts'

export interface ShmServer {
  /** Unix sockets the app serves. */
  readonly paths: readonly string[]
  /** `socket` when shared memory cannot be had; undefined before the app is ready. */
  readonly transport: 'shm' | 'socket' | undefined
  /** One entry per session: memory, slices in use, wake-ups, fallbacks. */
  statistics(): SessionStatistics[]
}

declare module 'fastify' {
  interface FastifyInstance {
    shm: ShmServer
  }
}

/** A client that is stopped must not keep the app from closing, ms. */
const LEAVE_MS = 1000

const register: FastifyPluginAsync<ShmPluginOptions> = async (app, options) => {
  const resolved = resolveOptions(options)
  const listeners: ShmListener[] = []
  const own = new HttpConnections(app.server)
  const borrowed = new ServerConnections(app.server)
  const force = app.initialConfig.forceCloseConnections === true
  const sessions = () => listeners.flatMap((listener) => [...listener.sessions])

  /** Nobody new is accepted, and who is here agrees to start nothing new: no request is lost. */
  let left: Promise<void> | undefined
  const leave = () => {
    left ??= Promise.all(listeners.map((listener) => listener.close())).then(async () => {
      if (!force) await within(LEAVE_MS, Promise.all(sessions().map((session) => session.leave())))
    })
    return left
  }

  app.decorate('shm', {
    paths: resolved.paths,
    get transport() {
      return listeners[0]?.transport
    },
    statistics: () => sessions().map((session) => session.statistics())
  })

  app.addHook('onReady', async () => {
    try {
      for (const path of resolved.paths) listeners.push(await listen({ ...resolved, path }))
    } catch (error) {
      // A path that cannot be served fails the start-up whole.
      await Promise.all(listeners.map((listener) => listener.close()))
      throw error
    }
    for (const listener of listeners) {
      listener.on('stream', (stream) => (resolved.compat ? borrowed : own).add(stream))
      listener.on('connection', (socket) => borrowed.add(socket))
      report(app, listener)
    }
    // Run first of all, for it is registered last. From `preClose` on Fastify answers 503.
    if (!force) (app as Partial<Closing>).onClose?.(leave)
  })

  app.addHook('preClose', async () => {
    await leave()
    const ms = force ? 0 : resolved.drainTimeoutMs
    await Promise.all([own.drain(ms), borrowed.drain(ms)])
    for (const session of sessions()) session.destroy()
  })
}

/** Of avvio, which Fastify is built on: what `addHook('onClose')` calls, at any time. */
interface Closing {
  onClose(action: () => Promise<void>): void
}

function report(app: FastifyInstance, listener: ShmListener): void {
  listener.on('refused', (reason) =>
    app.log.warn({ path: listener.path, reason }, 'session refused')
  )
  app.log.info(`Server listening at shm://${listener.path}`)
  if (listener.transport === 'socket') {
    app.log.warn(`shm://${listener.path} is served by ordinary sockets`)
  }
}

function within(ms: number, work: Promise<unknown>): Promise<unknown> {
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise((resolve) => {
    timer = setTimeout(resolve, ms)
  })
  return Promise.race([work, timeout]).finally(() => clearTimeout(timer))
}

interface ShmPlugin extends FastifyPluginAsync<ShmPluginOptions> {
  readonly bufferParser: typeof bufferParser
}

const plugin: ShmPlugin = Object.assign(fp(register, { fastify: '5.x', name: 'shmesh' }), {
  bufferParser
})

// The third name makes require() return the plugin itself, as Fastify users expect.
export { bufferParser, plugin as default, plugin as 'module.exports', plugin as shmesh }
