/**
 * Preloaded into the process of a test file of undici (`--import`): its `Client`, `Pool` and `Agent`
 * for `http:` origins become `ShmAgent`, and so does the global dispatcher.
 *
 * Each server of the process gets a Unix socket of its own once it listens. With `HOST_SUITE=relay`
 * the streams that arrive there are joined to TCP connections to the server, so that only the
 * client differs from a plain run; with `HOST_SUITE=served` the server is served by `shmesh/http`,
 * or, when it is none of `node:http`, takes the streams as connections.
 */
import { Server as HttpServer } from 'node:http'
import Module from 'node:module'
import { Server } from 'node:net'
import { join, sep } from 'node:path'
import './limited-tests.mjs'
import { nextPath, relay } from './sockets.mjs'
import { ENTRY, requireOf, undici } from './tested-undici.mjs'

const { HOST_SUITE: mode, HOST_SUITE_ROOT: root } = process.env
const MEMORY = '8MiB'

const { kUrl } = requireOf('./lib/core/symbols.js')
const { ShmAgent } = await import('../../dist/adapter/undici/index.js')
const { attach } = await import('../../dist/adapter/http/index.js')
const { listen } = await import('../../dist/adapter/index.js')

// --- Servers

/** By port, while they listen. */
const paths = new Map()
/** By port: resolves when its path can be connected to. */
const starting = new Map()

const { emit, listen: listenPlainly } = Server.prototype
for (const { prototype } of [Server, HttpServer]) {
  prototype.emit = function (event, ...args) {
    const { port } = (event === 'listening' && this.address()) || {}
    if (port === undefined) return emit.call(this, event, ...args)
    // Whoever waits for it may connect at once.
    start(this, port).then(() => emit.call(this, event, ...args))
    return true
  }
}
// Some do not wait: the port is known, and accepts, before the event.
Server.prototype.listen = function (...args) {
  const server = listenPlainly.apply(this, args)
  const { port } = this.address() ?? {}
  if (port !== undefined) start(this, port)
  return server
}

function start(server, port) {
  if (!paths.has(port)) {
    const started = serve(server, nextPath(), port).then(
      () => starting.delete(port),
      (error) => process.stderr.write(`host-suite: ${error.stack}\n`)
    )
    starting.set(port, started)
  }
  return Promise.resolve(starting.get(port))
}

async function serve(server, path, port) {
  paths.set(port, path)
  server.once('close', () => paths.delete(port))
  if (mode === 'served' && server instanceof HttpServer) {
    await attach(server, { path })
    return
  }
  let listener
  if (mode === 'served') {
    listener = await listen({ path })
    listener.on('stream', (stream) => server.emit('connection', stream))
  } else listener = await relay(path, port)
  const { close } = server
  server.close = function (...args) {
    listener.close().catch(() => undefined)
    for (const session of listener.sessions) session.close().catch(() => undefined)
    return close.apply(this, args)
  }
}

// --- Clients

const PASSED_ON = [
  'headersTimeout',
  'bodyTimeout',
  'keepAliveTimeout',
  'keepAliveMaxTimeout',
  'maxHeaderSize',
  'maxResponseSize',
  'strictContentLength',
  'maxRequestsPerClient',
  'connectTimeout',
  'webSocket',
  'eventSource'
]

function routes(host) {
  const { hostname, port } = new URL(`http://${host}`)
  return isHere(hostname) ? paths.get(Number(port || 80)) : undefined
}

function isHere(hostname) {
  return hostname === 'localhost' || hostname === '127.0.0.1' || hostname === '[::1]'
}

function shmAgent(options, connections) {
  const given = { routes, memory: MEMORY, fallback }
  for (const name of PASSED_ON) if (options?.[name] != null) given[name] = options[name]
  if (connections > 0) given.connections = connections
  const agent = new ShmAgent(given)
  const { dispatch } = agent
  agent.dispatch = (options, handler) => {
    const started = starting.size > 0 ? starting.get(portOf(options?.origin)) : undefined
    if (started === undefined) return dispatch.call(agent, options, handler)
    started.then(() => dispatch.call(agent, options, handler))
    return true
  }
  return agent
}

function portOf(origin) {
  return URL.canParse(origin) ? Number(new URL(origin).port || 80) : undefined
}

/** What says where or how to connect is not ours. */
function isOurs(options) {
  const { connect, socketPath, allowH2, tls, factory, localAddress, interceptors } = options ?? {}
  return (
    ![connect, socketPath, tls, factory, localAddress, interceptors].some(Boolean) &&
    allowH2 !== true
  )
}

/** The undici under test has accepted it; it takes the parts of a URL as well. */
function parseUrl(url) {
  if (typeof url === 'string' || url instanceof URL) return new URL(url)
  const { origin, protocol, hostname, port } = url
  return new URL(origin ?? `${protocol}//${hostname}:${port || 80}`)
}

/** Of one origin. */
function single(Original, connectionsOf) {
  return new Proxy(Original, {
    construct(target, [url, options], newTarget) {
      const original = Reflect.construct(target, [url, options], newTarget)
      const { protocol, hostname, origin } = parseUrl(url)
      const isHttp = protocol === 'http:' && isHere(hostname)
      const isPlain = newTarget === proxies.get(target) && isHttp && isOurs(options)
      if (!isPlain || options?.maxRedirections) return original
      const agent = shmAgent(options, connectionsOf(options))
      // For its interceptors, who are told of the one origin.
      if (kUrl in original) agent[kUrl] = original[kUrl]
      const { dispatch } = agent
      // ShmAgent never pipelines; 0 is how undici is told to close behind each request.
      const always = options?.pipelining === 0 ? { origin, reset: true } : { origin }
      agent.dispatch = (given, handler) => {
        const isObject = typeof given === 'object' && given !== null
        return dispatch.call(agent, isObject ? { ...given, ...always } : given, handler)
      }
      return agent
    }
  })
}

/** Of many. */
function agents(Original) {
  return new Proxy(Original, {
    construct(target, args, newTarget) {
      const original = Reflect.construct(target, args, newTarget)
      const [options] = args
      if (
        newTarget !== proxies.get(target) ||
        !isOurs(options) ||
        options?.maxOrigins ||
        options?.maxRedirections
      )
        return original
      const { connections } = options ?? {}
      return shmAgent(options, connections)
    }
  })
}

const proxies = new Map()
/** Not the global dispatcher, which may be that of Node.js, of another version. */
const fallback = new undici.Agent()
const ours = Object.create(Object.getPrototypeOf(undici), Object.getOwnPropertyDescriptors(undici))
for (const [name, proxy] of [
  ['Client', single(undici.Client, () => 1)],
  ['Pool', single(undici.Pool, (options) => options?.connections ?? 0)],
  ['Agent', agents(undici.Agent)]
]) {
  proxies.set(undici[name], proxy)
  Object.defineProperty(ours, name, {
    value: proxy,
    enumerable: true,
    configurable: true,
    writable: true
  })
}
undici.setGlobalDispatcher(shmAgent())

const tests = join(root, 'test') + sep
const resolveName = Module._resolveFilename
const load = Module._load
Module._load = function (name, parent, ...rest) {
  const loaded = load.call(this, name, parent, ...rest)
  return loaded === undici &&
    parent?.filename?.startsWith(tests) &&
    resolveName.call(this, name, parent) === ENTRY
    ? ours
    : loaded
}
