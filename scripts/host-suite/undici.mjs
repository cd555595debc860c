/**
 * Preloaded into the process of a test file of undici (`--import`): its `Client`, `Pool` and `Agent`
 * for `http:` origins become `ShmAgent`, and so does the global dispatcher.
 *
 * Each server of the process gets a Unix socket of its own once it listens. With `HOST_SUITE=relay`
 * the streams that arrive there are joined to TCP connections to the server, so that only the
 * client differs from a plain run; with `HOST_SUITE=served` the server is served by `shmesh/http`,
 * or, when it is none of `node:http`, takes the streams as connections.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { Server as HttpServer } from 'node:http'
import Module, { createRequire, register } from 'node:module'
import { connect as connectSocket, Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join, sep } from 'node:path'
import { pathToFileURL } from 'node:url'

const { HOST_SUITE: mode, HOST_SUITE_ROOT: root } = process.env
const ENTRY = join(root, 'index.js')
const MEMORY = '8MiB'

// Our adapter must use the undici under test.
register(
  `data:text/javascript,${encodeURIComponent(`
    export const resolve = (name, context, next) =>
      name === 'undici' ? { url: ${JSON.stringify(pathToFileURL(ENTRY).href)}, shortCircuit: true } : next(name, context)
  `)}`
)
const undici = createRequire(import.meta.url)(ENTRY)
const { ShmAgent } = await import('../../dist/adapter/undici/index.js')
const { attach } = await import('../../dist/adapter/http/index.js')
const { listen } = await import('../../dist/adapter/index.js')

// --- Servers

const directory = mkdtempSync(join(tmpdir(), 'host-suite-'))
process.once('exit', () => rmSync(directory, { recursive: true, force: true }))
/** By port, while they listen. */
const paths = new Map()
let servers = 0

const { emit } = Server.prototype
for (const { prototype } of [Server, HttpServer]) {
  prototype.emit = function (event, ...args) {
    const address = event === 'listening' ? this.address() : null
    if (typeof address !== 'object' || address === null) return emit.call(this, event, ...args)
    const path = join(directory, `${servers++}.sock`)
    // Whoever waits for it may connect at once.
    serve(this, path, address.port).then(
      () => emit.call(this, event, ...args),
      (error) => process.stderr.write(`host-suite: ${error.stack}\n`)
    )
    return true
  }
}

async function serve(server, path, port) {
  paths.set(port, path)
  server.once('close', () => paths.delete(port))
  if (mode === 'served' && server instanceof HttpServer) {
    await attach(server, { path })
    return
  }
  const listener = await listen({ path })
  listener.on('stream', (stream) => {
    if (mode === 'served') server.emit('connection', stream)
    else joinTo(stream, connectSocket({ port, host: 'localhost', allowHalfOpen: true }))
  })
  const { close } = server
  server.close = function (...args) {
    listener.close().catch(() => undefined)
    for (const session of listener.sessions) session.close().catch(() => undefined)
    return close.apply(this, args)
  }
}

/** Everything either of them does happens to the other. */
function joinTo(stream, socket) {
  socket.setNoDelay(true)
  for (const [from, to] of [
    [socket, stream],
    [stream, socket]
  ]) {
    from.on('data', (chunk) => {
      if (!to.write(chunk)) from.pause()
    })
    from.on('end', () => to.end())
    from.on('error', () => undefined)
    to.on('drain', () => from.resume())
  }
  stream.once('close', () => (stream.errored === null ? socket.destroySoon() : socket.destroy()))
  socket.once('close', () => stream.destroy(socket.errored ?? undefined))
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
  'connectTimeout'
]

function routes(host) {
  const { hostname, port } = new URL(`http://${host}`)
  return isHere(hostname) ? paths.get(Number(port || 80)) : undefined
}

function isHere(hostname) {
  return hostname === 'localhost' || hostname === '127.0.0.1' || hostname === '[::1]'
}

function shmAgent(options, connections) {
  const given = { routes, memory: MEMORY, fallback: globalBefore }
  for (const name of PASSED_ON) if (options?.[name] != null) given[name] = options[name]
  if (connections > 0) given.connections = connections
  return new ShmAgent(given)
}

/** What says where or how to connect is not ours. */
function isOurs(options) {
  const { connect, socketPath, allowH2, tls, factory, localAddress, webSocket, interceptors } =
    options ?? {}
  return (
    ![connect, socketPath, tls, factory, localAddress, webSocket, interceptors].some(Boolean) &&
    allowH2 !== true
  )
}

/** Of one origin. */
function single(Original, connectionsOf) {
  return new Proxy(Original, {
    construct(target, [url, options], newTarget) {
      const original = Reflect.construct(target, [url, options], newTarget)
      const { protocol, hostname, origin } = typeof url === 'string' ? new URL(url) : url
      const isHttp = protocol === 'http:' && isHere(hostname)
      if (newTarget !== proxies.get(target) || !isHttp || !isOurs(options)) return original
      const agent = shmAgent(options, connectionsOf(options))
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
const globalBefore = undici.getGlobalDispatcher()
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
