/**
 * Preloaded into the process of a test file (`--import`): whatever its clients send to a
 * `node:http` server, by sockets or by light-my-request, travels through shared memory.
 *
 * A server that is sent its first request is attached to a path of its own. The bytes of an
 * accepted socket go unread into a stream of a session with it and back, so that client and server
 * keep every habit they have. HOST_SUITE is
 *
 * - `attach`: as said;
 * - `plugin`: apps of Fastify register the plugin;
 * - `socket`: no shared memory, only what light-my-request would have called is sent by a socket.
 *   What differs there is due to that, and not to shared memory.
 */
import { EventEmitter, once } from 'node:events'
import { existsSync } from 'node:fs'
import { request as httpRequest, Server } from 'node:http'
import Module, { createRequire } from 'node:module'
import { connect as connectSocket, createServer, Socket } from 'node:net'
import { join } from 'node:path'
import shmesh from '../../dist/adapter/fastify/index.js'
import { attach } from '../../dist/adapter/http/index.js'
import { connect } from '../../dist/adapter/index.js'
import './limited-tests.mjs'
import { nextPath, splice } from './sockets.mjs'

const { HOST_SUITE: mode, HOST_SUITE_ROOT: root } = process.env
const MEMORY = '8MiB'
/** Some tests close an app whose handlers never answer, some look at the address. */
const OPTIONS = { drainTimeout: '1s', remoteAddress: '127.0.0.1' }
const APP = Symbol('app')
/** The framework itself, or the one a plugin is tested with. */
const FASTIFY = existsSync(join(root, 'fastify.js'))
  ? join(root, 'fastify.js')
  : createRequire(join(root, 'package.json')).resolve('fastify')

/** @type {WeakMap<Server, Promise<import('../../dist/adapter/index.js').ShmSession>>} */
const sessions = new WeakMap()
/** Servers the plugin serves, and where. */
const paths = new WeakMap()

/** The session with `server`, which is attached when nothing serves it yet. */
function sessionWith(server) {
  const known = sessions.get(server)
  if (known !== undefined) return known
  const session = (async () => {
    let path = paths.get(server)
    if (path === undefined) {
      path = nextPath()
      await attach(server, { ...OPTIONS, path })
    }
    const session = await connect(path, { memory: MEMORY })
    session.once('close', () => sessions.delete(server))
    return session
  })()
  sessions.set(server, session)
  return session
}

/** A connection to `server`, for one request of light-my-request. */
async function connectionTo(server) {
  if (mode !== 'socket') return (await sessionWith(server)).openStream()
  const path = nextPath()
  const listener = createServer({ allowHalfOpen: true }, (socket) => {
    listener.close()
    Object.defineProperty(socket, 'remoteAddress', { value: OPTIONS.remoteAddress })
    server.emit('connection', socket)
  })
  await once(listener.listen(path), 'listening')
  return connectSocket(path)
}

// --- Sockets

if (mode !== 'socket')
  Server.prototype.emit = function emit(event, ...args) {
    const [socket] = args
    if (event !== 'connection' || !(socket instanceof Socket)) {
      return EventEmitter.prototype.emit.call(this, event, ...args)
    }
    sessionWith(this).then(
      (session) => splice(socket, session.openStream()),
      (error) => {
        process.stderr.write(`host-suite: ${error.stack}\n`)
        socket.destroy()
      }
    )
    return true
  }

// --- light-my-request, which calls a listener with objects of its own

const load = Module._load
Module._load = function (name, parent, ...rest) {
  const loaded = load.call(this, name, parent, ...rest)
  if (name === 'light-my-request' && parent?.filename === FASTIFY) return wrapInject(loaded)
  if (typeof loaded !== 'function' || loaded.name !== 'fastify') return loaded
  return wrapFastify(loaded)
}

const wrapped = new WeakMap()

function wrapFastify(fastify) {
  if (wrapped.has(fastify)) return wrapped.get(fastify)
  const proxy = new Proxy(fastify, {
    apply(target, self, args) {
      const app = Reflect.apply(target, self, args)
      if (!(app.server instanceof Server)) return app
      if (mode === 'plugin') {
        const path = nextPath()
        paths.set(app.server, path)
        app.register(shmesh, { ...OPTIONS, path })
      }
      const { inject } = app
      app.inject = function (options, callback) {
        const given = typeof options === 'string' ? { url: options } : options
        return inject.call(this, { ...given, [APP]: app }, callback)
      }
      return app
    },
    get(target, name) {
      return name === 'fastify' || name === 'default' ? proxy : target[name]
    }
  })
  wrapped.set(fastify, proxy)
  return proxy
}

function wrapInject(inject) {
  const through = (dispatch, options, callback) => {
    const app = options?.[APP]
    // What cannot be said in HTTP stays as it is.
    const own = app === undefined || options.simulate !== undefined || options.Request !== undefined
    return inject(own ? dispatch : forward(app, dispatch), options, callback)
  }
  return Object.assign(through, inject)
}

/** Instead of `dispatch`: a proxy to the app, whose side of it `dispatch` is. */
function forward(app) {
  return async (request, response) => {
    let connection
    try {
      if (!sessions.has(app.server)) await app.ready()
      connection = await connectionTo(app.server)
    } catch (error) {
      response.destroy(error)
      return
    }
    const outgoing = httpRequest({
      createConnection: () => connection,
      method: request.method,
      path: request.url,
      headers: request.headers,
      setHost: false
    })
    outgoing.removeHeader('connection')
    outgoing.on('error', (error) => response.destroy(error))
    outgoing.on('response', (incoming) => {
      copyHead(incoming, response)
      incoming.on('data', (chunk) => response.write(chunk))
      incoming.on('end', () => {
        if (Object.keys(incoming.trailers).length > 0) response.addTrailers(incoming.trailers)
        response.end()
      })
      incoming.on('error', (error) => response.destroy(error))
    })
    request.once('close', () => {
      if (request.destroyed && !response.writableEnded && request.errored)
        outgoing.destroy(request.errored)
    })
    const { payload } = request._lightMyRequest
    if (payload === undefined || payload === null || payload === '') outgoing.end()
    else request.pipe(outgoing)
  }
}

/** These the response of light-my-request makes itself. */
const OWN = ['connection', 'keep-alive', 'transfer-encoding', 'date']

function copyHead(incoming, response) {
  response.statusCode = incoming.statusCode
  response.statusMessage = incoming.statusMessage
  for (const [name, values] of Object.entries(incoming.headersDistinct)) {
    if (OWN.includes(name)) continue
    response.setHeader(name, values.length === 1 ? values[0] : values)
  }
}
