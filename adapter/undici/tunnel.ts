import type { Duplex } from 'node:stream'
import { ShmStream } from '../shmipc/index.ts'

/**
 * Makes the stream of an upgrade or CONNECT what users of undici know: a socket that ends behind
 * the end of the other side, and no stream of HTTP/2, which undici's WebSocket tells by a `session`.
 */
export function likeSocketOfUndici(tunnel: Duplex): void {
  tunnel.allowHalfOpen = false
  if (!(tunnel instanceof ShmStream)) return
  Object.defineProperty(tunnel, 'session', { value: undefined })
  tellNextTurn(tunnel)
}

/**
 * A reset may lie right behind the head. A socket would tell of it in a later turn, when whoever was
 * given it by a promise listens; an 'error' nobody listens to ends the process.
 */
function tellNextTurn(tunnel: ShmStream): void {
  const { _destroy: destroy } = tunnel
  tunnel._destroy = (error, done) =>
    destroy.call(tunnel, error, (failure) => setImmediate(done, failure))
  setImmediate(() => Reflect.deleteProperty(tunnel, '_destroy'))
}
