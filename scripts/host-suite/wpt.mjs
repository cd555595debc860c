/**
 * Preloaded into undici's runner of the Web Platform Tests, in which `fetch`, `EventSource` and
 * `WebSocket` then go through a `ShmAgent`, the global dispatcher of each worker:
 *
 *     HOST_SUITE_ROOT=DIR node --import .../wpt.mjs test/wpt/start-fetch.mjs
 *
 * DIR is a checkout with the tests in `test/wpt`, where undici's repository had them until May 2024.
 * The runner forks its server, which answers at a Unix socket, too, and starts a worker for each
 * file; both inherit the preload. HOST_SUITE as in undici.mjs.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isMainThread } from 'node:worker_threads'

const MEMORY = '8MiB'

if (!isMainThread) await replaceDispatcher()
else if (process.send !== undefined) await serveServers()
else {
  const directory = mkdtempSync(join(tmpdir(), 'host-suite-wpt-'))
  process.env.HOST_SUITE_SOCKETS = directory
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }))
}

/** Of the server on `port`, whichever process connects to it. */
function pathOf(port) {
  return join(process.env.HOST_SUITE_SOCKETS, `${port}.sock`)
}

async function serveServers() {
  const { attach } = await import('../../dist/adapter/http/index.js')
  const { relay } = await import('./sockets.mjs')
  const { emit } = Server.prototype
  Server.prototype.emit = function (event, ...args) {
    if (event !== 'listening') return emit.call(this, event, ...args)
    const { port } = this.address()
    const path = pathOf(port)
    const started = process.env.HOST_SUITE === 'served' ? attach(this, { path }) : relay(path, port)
    started.then(() => emit.call(this, event, ...args))
    return true
  }
}

async function replaceDispatcher() {
  const { undici } = await import('./tested-undici.mjs')
  const { ShmAgent } = await import('../../dist/adapter/undici/index.js')
  const routes = (host) => {
    const { hostname, port } = new URL(`http://${host}`)
    const path = pathOf(port)
    return hostname === 'localhost' && existsSync(path) ? path : undefined
  }
  undici.setGlobalDispatcher(new ShmAgent({ routes, memory: MEMORY, fallback: new undici.Agent() }))
}
