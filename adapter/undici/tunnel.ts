import type { Duplex } from 'node:stream'
import { ShmStream } from '../shmipc/index.ts'

/**
 * Makes the stream of an upgrade or CONNECT what users of undici know: a socket that ends behind
 * the end of the other side, and no stream of HTTP/2, which undici's WebSocket tells by a `session`.
 */
export function likeSocketOfUndici(tunnel: Duplex): void {
  tunnel.allowHalfOpen = false
  if (tunnel instanceof ShmStream) Object.defineProperty(tunnel, 'session', { value: undefined })
}
