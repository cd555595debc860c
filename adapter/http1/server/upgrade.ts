import { AsyncResource } from 'node:async_hooks'
import type { Server } from 'node:http'
import type { RequestHead } from '../message.ts'
import { type RequestHost, WireRequest } from './request.ts'

/** Whether a request ends HTTP on its connection. */
export function isUpgrade(server: Server, { method, upgrade, framing }: RequestHead): boolean {
  if (method === 'CONNECT') return true
  // With a body it would be unclear where the other protocol begins.
  return upgrade !== undefined && framing.kind === 'none' && server.listenerCount('upgrade') > 0
}

/**
 * Gives the connection to whoever listens for `upgrade` or `connect`, as an ordinary stream.
 *
 * @param rest what came behind the head
 */
export function upgrade(host: RequestHost, head: RequestHead, rest: Buffer): void {
  const { server, stream } = host
  const event = head.method === 'CONNECT' ? 'connect' : 'upgrade'
  if (server.listenerCount(event) === 0) {
    stream.destroy()
    return
  }
  const scope = new AsyncResource('HTTPINCOMINGMESSAGE')
  const request = new WireRequest(host, head, scope)
  ;(request as { upgrade?: boolean }).upgrade = true
  request.complete = true
  stream.giveBack()
  scope.runInAsyncScope(server.emit, server, event, request, stream, rest)
}
