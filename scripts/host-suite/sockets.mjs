/** What the preloads share: sockets of a process of tests, and connections joined to each other. */
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { listen } from '../../dist/adapter/index.js'

const directory = mkdtempSync(join(tmpdir(), 'host-suite-'))
process.once('exit', () => rmSync(directory, { recursive: true, force: true }))
let sockets = 0

/** A path no other socket of this process has. */
export function nextPath() {
  return join(directory, `${sockets++}.sock`)
}

/** Everything either of them does happens to the other. */
export function splice(socket, stream) {
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

/** Each stream that arrives at `path` becomes a connection to `port`. */
export async function relay(path, port) {
  const listener = await listen({ path })
  listener.on('stream', (stream) => {
    const socket = connect({ port, host: 'localhost', allowHalfOpen: true })
    splice(socket.setNoDelay(true), stream)
  })
  return listener
}
