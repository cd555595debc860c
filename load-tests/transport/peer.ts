/**
 * The end that answers, a process of its own: serves every transport on the paths given as
 * arguments, and answers each message by one of the same size. Its parent sends each {@link Load}
 * before its first message, and gets the CPU this process has used so far.
 */
import { createServer } from 'node:net'
import type { Duplex } from 'node:stream'
import { listen, type ShmStream } from '../../adapter/index.ts'
import type { Load, Transport } from './cells.ts'
import { Endpoint } from './endpoint.ts'
import { readSlowly } from './slow-reader.ts'

export type PeerMessage =
  | { readonly ready: true }
  | { readonly cpuMicroseconds: number }
  | Announcement

/** The next stream is to be read slowly; sent back when that is understood. */
export interface Announcement {
  readonly nextIsSlow: true
}

const [shmPath, duplexPath, socketPath] = process.argv.slice(2) as [string, string, string]
const endpoints: Endpoint[] = []
let load: Load | undefined
let nextIsSlow = false

function serveShm(stream: ShmStream): void {
  if (!nextIsSlow) {
    serve(stream, 'shm')
    return
  }
  nextIsSlow = false
  readSlowly(stream)
}

function serve(stream: Duplex, transport: Transport): void {
  const endpoint = new Endpoint(stream, transport)
  endpoints.push(endpoint)
  endpoint.onMessage = () => endpoint.send()
  if (load !== undefined) endpoint.begin(load)
}

function say(message: PeerMessage): void {
  process.send!(message)
}

process.on('message', (next: Load | Announcement) => {
  if ('nextIsSlow' in next) {
    nextIsSlow = true
    say(next)
    return
  }
  load = next
  for (const endpoint of endpoints) endpoint.begin(next)
  const { user, system } = process.cpuUsage()
  say({ cpuMicroseconds: user + system })
})

const listeners = await Promise.all([shmPath, duplexPath].map((path) => listen({ path })))
listeners[0]!.on('stream', serveShm)
listeners[1]!.on('stream', (stream) => serve(stream, 'duplex'))
const server = createServer((socket) => serve(socket, 'socket'))
server.listen(socketPath, () => say({ ready: true }))

process.once('SIGTERM', () => {
  server.close()
  for (const listener of listeners) void listener.close()
  process.channel?.unref()
})
