/**
 * The end that answers, a process of its own: serves both transports on the paths given as
 * arguments, and answers each message by one of the same size. Its parent sends each {@link Load}
 * before its first message, and gets the CPU this process has used so far.
 */
import { createServer } from 'node:net'
import { listen } from '../../adapter/index.ts'
import type { Load } from './cells.ts'
import { type Endpoint, ShmEndpoint, SocketEndpoint } from './endpoint.ts'

/** From peer to parent. */
export type PeerMessage = { readonly ready: true } | { readonly cpuMicroseconds: number }

const [shmPath, socketPath] = process.argv.slice(2) as [string, string]
const endpoints: Endpoint[] = []
let load: Load | undefined

function serve(endpoint: Endpoint): void {
  endpoints.push(endpoint)
  endpoint.onMessage = () => endpoint.send()
  if (load !== undefined) endpoint.begin(load)
}

function say(message: PeerMessage): void {
  process.send!(message)
}

process.on('message', (next: Load) => {
  load = next
  for (const endpoint of endpoints) endpoint.begin(next)
  const { user, system } = process.cpuUsage()
  say({ cpuMicroseconds: user + system })
})

const listener = await listen({ path: shmPath })
listener.on('stream', (stream) => serve(new ShmEndpoint(stream)))
const server = createServer((socket) => serve(new SocketEndpoint(socket)))
server.listen(socketPath, () => say({ ready: true }))

process.once('SIGTERM', () => {
  server.close()
  void listener.close()
  process.channel?.unref()
})
