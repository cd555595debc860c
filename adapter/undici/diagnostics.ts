/** undici's own diagnostics channels: what tracing injects its headers through. */
import { type Channel, channel } from 'node:diagnostics_channel'

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
