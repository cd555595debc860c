/**
 * Many clients that do next to nothing; a process of its own. Its parent sends a {@link Gathering}
 * and gets `{ held }` when all of them are where they are to stay; sends `{ leave: true }` and gets
 * `{ lost }`, how many were not there any more.
 */
import { connect, type Socket } from 'node:net'

export interface Gathering {
  readonly port: number
  readonly count: number
  readonly kind: CrowdKind
}

/**
 * `idle`: kept alive after one request. `uploading`: one byte of a large body now and then.
 * `reading`: a large response, of which little is read now and then.
 */
export type CrowdKind = 'idle' | 'uploading' | 'reading'

const BODY_BYTES = 1024 * 1024
/** Connections made at a time: fewer than fit the listener's backlog. */
const BATCH = 100
/** Each of them does a little once a second, spread over it. */
const TURNS = 100
const TURN_MS = 10

const REQUESTS: Readonly<Record<CrowdKind, string>> = {
  idle: 'GET /buffer/64/0 HTTP/1.1\r\nHost: a\r\n\r\n',
  uploading: `POST /sink HTTP/1.1\r\nHost: a\r\nContent-Type: application/octet-stream\r\nContent-Length: ${BODY_BYTES}\r\n\r\nx`,
  reading: `GET /buffer/${BODY_BYTES}/0 HTTP/1.1\r\nHost: a\r\n\r\n`
}

const sockets: Socket[] = []
let timer: NodeJS.Timeout | undefined

/** Resolves when it is connected and, unless it uploads, has the first bytes of its answer. */
function join({ port, kind }: Gathering): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1' })
    sockets.push(socket)
    socket.once('error', reject)
    socket.once('connect', () => {
      // Whoever is lost later is counted, not thrown.
      socket.off('error', reject).on('error', () => undefined)
      socket.write(REQUESTS[kind])
      if (kind === 'uploading') resolve()
    })
    socket.on('data', () => {
      if (kind === 'reading') socket.pause()
      resolve()
    })
  })
}

async function gather(gathering: Gathering): Promise<void> {
  for (let at = 0; at < gathering.count; at += BATCH) {
    const batch = Math.min(BATCH, gathering.count - at)
    await Promise.all(Array.from({ length: batch }, () => join(gathering)))
  }
  const { kind } = gathering
  if (kind === 'idle') return
  let turn = 0
  timer = setInterval(() => {
    turn = (turn + 1) % TURNS
    for (let i = turn; i < sockets.length; i += TURNS) {
      if (kind === 'uploading') sockets[i]!.write('x')
      else sockets[i]!.resume()
    }
  }, TURN_MS)
}

function leave(): number {
  clearInterval(timer)
  const lost = sockets.filter((socket) => socket.destroyed || socket.readableEnded).length
  for (const socket of sockets.splice(0)) socket.destroy()
  return lost
}

process.on('message', async (message: Gathering | { leave: true }) => {
  if ('leave' in message) {
    process.send?.({ lost: leave() })
    return
  }
  await gather(message)
  process.send?.({ held: sockets.length })
})
process.channel?.ref()
process.send?.({ ready: true })
