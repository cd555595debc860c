/** What a response's fields become on their way through. */
import {
  connectionOptions,
  type Framing,
  type Headers,
  type ResponseHead
} from '../../adapter/http1/codec.ts'
import type { TransportLabel } from '../counters.ts'
import { isPlainOption, pushFraming, viaEntry, withoutListed } from './hop-by-hop.ts'
import { CONNECTION, HOP, KEEP_ALIVE, kindOf, LENGTH, TE, TRAILER, TRANSPORT } from './kinds.ts'

/** The response's fields, and what they said about the upstream's connection. */
export interface ResponseFields {
  readonly headers: Headers
  /** The value of Keep-Alive; empty when there was none. */
  readonly keepAlive: string
}

/**
 * @param framing how the body goes to the client
 * @param transport what our own `x-shmesh-transport` says; `undefined` leaves an inner proxy's
 * @param via whether to add our entry
 */
export function responseHeaders(
  head: ResponseHead,
  framing: Framing,
  transport: TransportLabel | undefined,
  via: boolean
): ResponseFields {
  const headers = head.headers
  // What Content-Length says in an answer to HEAD or in a 304 is about a body that is not sent.
  const bodiless = framing.kind === 'none' && head.status !== 204 && head.status >= 200
  let out: Headers = []
  let options = false
  let keepAlive = ''

  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i] as string
    const value = headers[i + 1] as string
    switch (kindOf(name)) {
      case HOP:
      case TE:
        break
      case TRANSPORT:
        if (transport === undefined) out.push(name, value)
        break
      case CONNECTION:
        options ||= !isPlainOption(value)
        break
      case KEEP_ALIVE:
        keepAlive = value
        break
      case LENGTH:
        if (bodiless) out.push(name, value)
        break
      case TRAILER:
        if (framing.kind === 'chunked') out.push(name, value)
        break
      default:
        out.push(name, value)
    }
  }
  if (options) out = withoutListed(out, connectionOptions(headers))
  pushFraming(out, framing)
  if (head.upgrade !== undefined && (head.status === 101 || head.status === 426)) {
    out.push('Upgrade', head.upgrade)
  }
  if (transport !== undefined) out.push('X-Shmesh-Transport', transport)
  if (via && head.status >= 200) out.push('Via', viaEntry(head.version))
  return { headers: out, keepAlive }
}
