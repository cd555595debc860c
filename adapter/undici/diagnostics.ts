/** undici's own diagnostics channels: what tracing injects its headers through. */
import { type Channel, channel } from 'node:diagnostics_channel'
import type { Duplex } from 'node:stream'
import type { Headers, ResponseHead } from '../http1/index.ts'
import type { AgentRequest } from './request.ts'

export const channels: Readonly<
  Record<
    | 'create'
    | 'bodySent'
    | 'bodyChunkSent'
    | 'bodyChunkReceived'
    | 'headers'
    | 'trailers'
    | 'error'
    | 'beforeConnect'
    | 'connected'
    | 'connectError'
    | 'sendHeaders',
    Channel
  >
> = {
  create: channel('undici:request:create'),
  bodySent: channel('undici:request:bodySent'),
  bodyChunkSent: channel('undici:request:bodyChunkSent'),
  bodyChunkReceived: channel('undici:request:bodyChunkReceived'),
  headers: channel('undici:request:headers'),
  trailers: channel('undici:request:trailers'),
  error: channel('undici:request:error'),
  beforeConnect: channel('undici:client:beforeConnect'),
  connected: channel('undici:client:connected'),
  connectError: channel('undici:client:connectError'),
  sendHeaders: channel('undici:client:sendHeaders')
}

/** Tells of a head, an interim one also. */
export function publishHeaders(request: object, { status, headers, reason }: ResponseHead): void {
  if (!channels.headers.hasSubscribers) return
  const response = { statusCode: status, headers: rawOf(headers), statusText: reason }
  channels.headers.publish({ request, response })
}

export function publishTrailers(request: object, trailers: Headers): void {
  if (!channels.trailers.hasSubscribers) return
  channels.trailers.publish({ request, trailers: rawOf(trailers) })
}

/** Tells of the head of a request, on its way by `socket`. */
export function publishSendHeaders(request: object, headers: string, socket: Duplex): void {
  if (!channels.sendHeaders.hasSubscribers) return
  channels.sendHeaders.publish({ request, headers, socket })
}

/** A body that is text is told of as bytes, the text of a stream as it came: as undici does. */
export function publishBodyChunkSent(request: AgentRequest, part: string | Uint8Array): void {
  if (!channels.bodyChunkSent.hasSubscribers) return
  const isBody = typeof part === 'string' && part === request.content.content
  channels.bodyChunkSent.publish({ request, chunk: isBody ? Buffer.from(part) : part })
}

function rawOf(headers: Headers): Buffer[] {
  return headers.map((text) => Buffer.from(text, 'latin1'))
}
