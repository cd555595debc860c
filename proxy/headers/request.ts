/**
 * What a request's fields become on their way through. The connection's own fields go first, so
 * that nothing a client lists in Connection can remove a field we add.
 */
import { connectionOptions, type Headers, type RequestHead } from '../../adapter/http1/codec.ts'
import type { LogOrigin } from '../access-log/origin.ts'
import { TraceFields } from '../tracing/fields.ts'
import type { Tracing } from '../tracing/span.ts'
import { forwardedElement } from './forwarded.ts'
import {
  countVias,
  isPlainOption,
  offeredProtocols,
  pushFraming,
  viaEntry,
  withoutListed
} from './hop-by-hop.ts'
import {
  CONNECTION,
  FORWARDED,
  FORWARDED_FOR,
  FORWARDED_HOST,
  FORWARDED_OTHER,
  FORWARDED_PORT,
  FORWARDED_PROTO,
  HOST,
  kindOf,
  REQUEST_ID,
  TE,
  TRACE,
  TRAILER,
  VIA_FIELD
} from './kinds.ts'

/** More of our own Via entries than this and the request is going round in circles. */
const MAX_VIA = 20
/** What a trusted client may have as a request id: it goes into every log it passes. */
const REQUEST_ID_VALUE = /^[\x21-\x7e]{1,200}$/

/** What a listener says about its clients, the same for all of them. */
export interface HopOptions {
  /** The listener's name, for logs. */
  readonly listener: string
  /** Adds Via; without it a request going round in circles is not noticed. */
  readonly via: boolean
  /** Adds Forwarded (RFC 7239) beside X-Forwarded-*. */
  readonly forwarded: boolean
  /** The port it listens on; empty unless that is TCP. */
  readonly port: string
  /** `undefined`: fields that carry traces are sent on as they come. */
  readonly tracing: Tracing | undefined
}

/** Who sent a request, as far as the fields about it are concerned. */
export interface Forwarding {
  /** IP address of the client; empty when it came over a Unix socket or shared memory. */
  readonly remoteAddress: string
  /** The client is believed about itself: its X-Forwarded-*, request id and trace are kept. */
  readonly trusted: boolean
  readonly hop: HopOptions
  /** The client, as the access log has it. */
  readonly origin: LogOrigin
}

/** What every request with the same head from the same client has in common. */
export interface SharedFields {
  readonly headers: Headers
  /** What a trusted client called its request; empty when it did not. */
  readonly requestId: string
  /** The trace a trusted client's request is part of. */
  readonly trace: TraceFields | undefined
}

/**
 * `undefined` when the request has passed through too many of us.
 *
 * @param authority the Host that is sent
 */
export function sharedFields(
  head: RequestHead,
  from: Forwarding,
  authority: string
): SharedFields | undefined {
  const { headers } = head
  const { trusted, hop } = from
  let out: Headers = []
  let options = false
  let trailers = false
  let vias = 0
  let host = false
  let requestId = ''
  let forwarded = ''
  let forwardedFor = ''
  let forwardedHost = false
  let forwardedProto = false
  let forwardedPort = false
  let trace: TraceFields | undefined

  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i] as string
    const value = headers[i + 1] as string
    switch (kindOf(name)) {
      case 0:
        out.push(name, value)
        break
      case CONNECTION:
        options ||= !isPlainOption(value)
        break
      case HOST:
        host = true
        out.push(name, authority)
        break
      case TE:
        trailers ||= /(?:^|,)[ \t]*trailers[ \t]*(?:,|$)/i.test(value)
        break
      case TRAILER:
        if (head.framing.kind === 'chunked') out.push(name, value)
        break
      case VIA_FIELD:
        vias += countVias(value)
        out.push(name, value)
        break
      case REQUEST_ID:
        if (trusted && requestId === '' && REQUEST_ID_VALUE.test(value)) requestId = value
        break
      case FORWARDED_OTHER:
        if (trusted) out.push(name, value)
        break
      case FORWARDED:
        if (trusted) forwarded = forwarded === '' ? value : `${forwarded}, ${value}`
        break
      case FORWARDED_FOR:
        if (trusted) forwardedFor = forwardedFor === '' ? value : `${forwardedFor}, ${value}`
        break
      case FORWARDED_HOST:
        if (!trusted) break
        forwardedHost = true
        out.push(name, value)
        break
      case FORWARDED_PROTO:
        if (!trusted) break
        forwardedProto = true
        out.push(name, value)
        break
      case FORWARDED_PORT:
        if (!trusted) break
        forwardedPort = true
        out.push(name, value)
        break
      case TRACE:
        if (hop.tracing === undefined) {
          out.push(name, value)
        } else if (trusted) {
          trace ??= new TraceFields()
          trace.add(name, value)
        }
        break
    }
  }
  if (vias > MAX_VIA) return undefined
  if (options) out = withoutListed(out, connectionOptions(headers))

  if (!host) out.push('Host', authority)
  pushFraming(out, head.framing)
  const upgrade = offeredProtocols(head)
  if (upgrade !== undefined) out.push('Connection', 'Upgrade', 'Upgrade', upgrade)
  else if (trailers) out.push('Connection', 'TE', 'TE', 'trailers')
  const { remoteAddress } = from
  if (remoteAddress !== '') {
    const before = forwardedFor === '' ? '' : `${forwardedFor}, `
    out.push('X-Forwarded-For', before + remoteAddress)
  } else if (forwardedFor !== '') {
    out.push('X-Forwarded-For', forwardedFor)
  }
  if (!forwardedHost && head.host !== '') out.push('X-Forwarded-Host', head.host)
  if (!forwardedProto) out.push('X-Forwarded-Proto', 'http')
  if (!forwardedPort && hop.port !== '') out.push('X-Forwarded-Port', hop.port)
  if (hop.forwarded) {
    const before = forwarded === '' ? '' : `${forwarded}, `
    out.push('Forwarded', before + forwardedElement(remoteAddress, head.host, 'http'))
  } else if (forwarded !== '') {
    out.push('Forwarded', forwarded)
  }
  if (hop.via) out.push('Via', viaEntry(head.version))
  return { headers: out, requestId, trace }
}
