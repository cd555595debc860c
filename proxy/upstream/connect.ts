import type { LookupFunction, NetConnectOpts, Socket } from 'node:net'
import { type Link, ShmStream } from '../../adapter/shmipc/index.ts'
import type { Address } from '../config/address.ts'
import { ChannelWire } from '../wire/channel-wire.ts'
import { SocketWire } from '../wire/socket-wire.ts'
import type { Wire, WireOwner } from '../wire/wire.ts'

/** Makes the wire of a connection that is open. Called once. */
export type Attach = (owner: WireOwner) => Wire

/** The upstream took longer to accept than it may. */
export class ConnectTimeoutError extends Error {
  override readonly name: string = 'ConnectTimeoutError'
  readonly code = 'ETIMEDOUT'
}

/**
 * Opens one connection to `address`.
 *
 * @param link the shared-memory link of a `shm://` address
 * @param lookup in place of the system's, for the name of an `http://` address
 * @param timeoutMs then the attempt is given up and a connection that still comes is destroyed
 */
export function openWire(
  address: Address,
  link: Link | undefined,
  timeoutMs: number,
  lookup: LookupFunction | undefined
): Promise<Attach> {
  return new Promise((resolve, reject) => {
    let late = false
    let dialling: { destroy(): void } | undefined
    const timer = setTimeout(() => {
      late = true
      dialling?.destroy()
      reject(new ConnectTimeoutError(`connect ETIMEDOUT ${address.text} after ${timeoutMs} ms`))
    }, timeoutMs)

    const opened = (attach: Attach) => {
      clearTimeout(timer)
      resolve(attach)
    }
    const failed = (error: Error) => {
      clearTimeout(timer)
      reject(error)
    }
    if (link === undefined) {
      dialling = SocketWire.connect(endpointOf(address, lookup), opened, failed)
      return
    }
    link.connect().then(({ stream }) => {
      if (late) stream.destroy()
      else if (stream instanceof ShmStream) opened((owner) => new ChannelWire(stream, owner))
      else opened((owner) => SocketWire.overConnected(stream as Socket, owner))
    }, failed)
  })
}

function endpointOf(address: Address, lookup: LookupFunction | undefined): NetConnectOpts {
  if (address.kind !== 'http') return { path: address.path }
  const { host, port } = address
  return { host, port, noDelay: true, ...(lookup === undefined ? {} : { lookup }) }
}
