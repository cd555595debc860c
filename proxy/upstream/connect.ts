import { connect as connectSocket, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Link } from '../../adapter/shmipc/index.ts'
import type { Address } from '../config/address.ts'

export interface OpenedStream {
  readonly stream: Duplex
  readonly transport: 'shm' | 'socket'
}

/** The upstream took longer to accept than it may. */
export class ConnectTimeoutError extends Error {
  override readonly name: string = 'ConnectTimeoutError'
  readonly code = 'ETIMEDOUT'
}

/**
 * Opens one stream to `address`.
 *
 * @param link the shared-memory link of a `shm://` address
 * @param timeoutMs then the attempt is given up and a stream that still comes is destroyed
 */
export function openStream(
  address: Address,
  link: Link | undefined,
  timeoutMs: number
): Promise<OpenedStream> {
  return new Promise((resolve, reject) => {
    let late = false
    let socket: Socket | undefined
    const timer = setTimeout(() => {
      late = true
      socket?.destroy()
      reject(new ConnectTimeoutError(`connect ETIMEDOUT ${address.text} after ${timeoutMs} ms`))
    }, timeoutMs)

    const opened = (result: OpenedStream) => {
      clearTimeout(timer)
      if (late) result.stream.destroy()
      else resolve(result)
    }
    const failed = (error: Error) => {
      clearTimeout(timer)
      reject(error)
    }
    if (link !== undefined) link.connect().then(opened, failed)
    else socket = openSocket(address, opened, failed)
  })
}

function openSocket(
  address: Address,
  opened: (result: OpenedStream) => void,
  failed: (error: Error) => void
): Socket {
  const socket = connectSocket(
    address.kind === 'http'
      ? { host: address.host, port: address.port, noDelay: true, allowHalfOpen: true }
      : { path: address.path, allowHalfOpen: true }
  )
  socket.once('error', failed)
  socket.once('connect', () => {
    socket.off('error', failed)
    opened({ stream: socket, transport: 'socket' })
  })
  return socket
}
