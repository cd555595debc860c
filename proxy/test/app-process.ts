/**
 * An app as a process of its own, so that it can be killed: `app-process ADDRESS`. It says `ready`
 * on stdout when it listens, and ends when stdin does.
 */
import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { listen } from '../../adapter/shmipc/index.ts'

const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
  if (request.method === 'GET' || request.method === 'HEAD') answer(request, response)
  else digest(request, response)
})

/** GET /N answers N bytes; anything else answers the process id. */
function answer(request: IncomingMessage, response: ServerResponse): void {
  const size = Number(request.url?.slice(1))
  if (request.url === '/slow') setTimeout(() => response.end('slow'), 200)
  else response.end(size > 0 ? Buffer.alloc(size, 'x') : String(process.pid))
}

/** Any other method answers the length and the hash of the body. */
function digest(request: IncomingMessage, response: ServerResponse): void {
  const hash = createHash('sha256')
  let length = 0
  request.on('data', (chunk: Buffer) => {
    length += chunk.length
    hash.update(chunk)
  })
  request.on('end', () => response.end(`${length} ${hash.digest('hex')}`))
}

const address = process.argv[2] as string
if (address.startsWith('shm://')) {
  const listener = await listen({ path: address })
  listener.on('stream', (stream) => server.emit('connection', stream))
  listener.on('connection', (socket) => server.emit('connection', socket))
} else {
  const path = address.slice('unix://'.length)
  await new Promise<void>((resolve) => {
    server.listen(path, resolve)
  })
}
process.stdin.on('end', () => process.exit(0)).resume()
process.stdout.write('ready\n')
