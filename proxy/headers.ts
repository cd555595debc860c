/**
 * What a request's and a response's fields become on their way through. The connection's own fields
 * go first, so that nothing a client lists in Connection can remove a field we add.
 */
import { randomUUID } from 'node:crypto'
import {
  connectionOptions,
  type Framing,
  type Headers,
  type RequestHead,
  type ResponseHead
} from '../adapter/http1/index.ts'
import type { TransportLabel } from './counters.ts'

/** More of our own Via entries than this and the request is going round in circles. */
const MAX_VIA = 20
const VIA = 'shmesh'

const HOP = 1
const CONNECTION = 2
const LENGTH = 3
const HOST = 4
const VIA_FIELD = 5
const REQUEST_ID = 6
const FORWARDED = 7
const FORWARDED_FOR = 8
const FORWARDED_HOST = 9
const FORWARDED_PROTO = 10
const TE = 11
const TRAILER = 12
const KEEP_ALIVE = 13
const TRANSPORT = 14

/** Every field treated otherwise than "send it on as it is". */
const KINDS: ReadonlyMap<string, number> = new Map([
  ['connection', CONNECTION],
  ['keep-alive', KEEP_ALIVE],
  ['proxy-connection', HOP],
  ['proxy-authenticate', HOP],
  ['proxy-authorization', HOP],
  ['transfer-encoding', HOP],
  ['upgrade', HOP],
  ['te', TE],
  ['trailer', TRAILER],
  ['content-length', LENGTH],
  ['host', HOST],
  ['via', VIA_FIELD],
  ['x-request-id', REQUEST_ID],
  ['forwarded', FORWARDED],
  ['x-real-ip', FORWARDED],
  ['x-forwarded-port', FORWARDED],
  ['x-forwarded-prefix', FORWARDED],
  ['x-forwarded-server', FORWARDED],
  ['x-forwarded-for', FORWARDED_FOR],
  ['x-forwarded-host', FORWARDED_HOST],
  ['x-forwarded-proto', FORWARDED_PROTO],
  ['x-shmesh-transport', TRANSPORT]
])

/** Most names are told apart by their length alone, without lower-casing and hashing them. */
const KNOWN_LENGTHS: readonly boolean[] = Array.from({ length: 32 }, (_, length) =>
  [...KINDS.keys()].some((name) => name.length === length)
)

function kindOf(name: string): number {
  if (KNOWN_LENGTHS[name.length] !== true) return 0
  return KINDS.get(name.toLowerCase()) ?? 0
}

/** Who sent a request, as far as the fields about it are concerned. */
export interface Forwarding {
  /** IP address of the client; empty when it came over a Unix socket or shared memory. */
  readonly remoteAddress: string
  /** The client may say on whose behalf it asks: its X-Forwarded-* are kept and appended to. */
  readonly trusted: boolean
}

/** The fields of the upstream request; `undefined` when it has passed through too many of us. */
export function requestHeaders(head: RequestHead, from: Forwarding): Headers | undefined {
  const headers = head.headers
  let out: Headers = []
  let options = false
  let trailers = false
  let vias = 0
  let host = false
  let requestId = ''
  let forwardedFor = ''
  let forwardedHost = false
  let forwardedProto = false

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
        out.push(name, head.host)
        break
      case TE:
        trailers ||= /(?:^|,)[ \t]*trailers[ \t]*(?:,|$)/i.test(value)
        break
      case TRAILER:
        if (head.framing.kind === 'chunked') out.push(name, value)
        break
      case VIA_FIELD:
        vias += value.split(VIA).length - 1
        out.push(name, value)
        break
      case REQUEST_ID:
        requestId = value
        out.push(name, value)
        break
      case FORWARDED:
        if (from.trusted) out.push(name, value)
        break
      case FORWARDED_FOR:
        if (from.trusted) forwardedFor = forwardedFor === '' ? value : `${forwardedFor}, ${value}`
        break
      case FORWARDED_HOST:
        if (!from.trusted) break
        forwardedHost = true
        out.push(name, value)
        break
      case FORWARDED_PROTO:
        if (!from.trusted) break
        forwardedProto = true
        out.push(name, value)
        break
    }
  }
  if (vias > MAX_VIA) return undefined
  if (options) out = withoutListed(out, connectionOptions(headers))

  if (!host) out.push('Host', head.host)
  pushFraming(out, head.framing)
  if (head.upgrade !== undefined) out.push('Connection', 'Upgrade', 'Upgrade', head.upgrade)
  else if (trailers) out.push('Connection', 'TE', 'TE', 'trailers')
  if (from.remoteAddress !== '') {
    const before = forwardedFor === '' ? '' : `${forwardedFor}, `
    out.push('X-Forwarded-For', before + from.remoteAddress)
  } else if (forwardedFor !== '') {
    out.push('X-Forwarded-For', forwardedFor)
  }
  if (!forwardedHost && head.host !== '') out.push('X-Forwarded-Host', head.host)
  if (!forwardedProto) out.push('X-Forwarded-Proto', 'http')
  if (requestId === '') out.push('X-Request-Id', randomUUID())
  out.push('Via', head.version === 0 ? `1.0 ${VIA}` : `1.1 ${VIA}`)
  return out
}

/** What the response's fields become, and what they said about the upstream's connection. */
export interface ResponseFields {
  readonly headers: Headers
  /** The value of Keep-Alive; empty when there was none. */
  readonly keepAlive: string
}

/**
 * @param framing how the body goes to the client
 * @param transport what our own `x-shmesh-transport` says; `undefined` leaves an inner proxy's
 */
export function responseHeaders(
  head: ResponseHead,
  framing: Framing,
  transport: TransportLabel | undefined
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
  if (head.status >= 200) out.push('Via', head.version === 0 ? `1.0 ${VIA}` : `1.1 ${VIA}`)
  return { headers: out, keepAlive }
}

/** Trailers, without what would change the meaning of the message were they merged into its head. */
export function trailerFields(trailers: Headers): Headers {
  if (trailers.length === 0) return trailers
  const out: Headers = []
  for (let i = 0; i + 1 < trailers.length; i += 2) {
    const name = trailers[i] as string
    if (kindOf(name) === 0) out.push(name, trailers[i + 1] as string)
  }
  return out
}

function isPlainOption(value: string): boolean {
  const option = value.toLowerCase()
  return option === 'keep-alive' || option === 'close' || option === 'upgrade'
}

function withoutListed(headers: Headers, listed: ReadonlySet<string>): Headers {
  const out: Headers = []
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i] as string
    if (!listed.has(name.toLowerCase())) out.push(name, headers[i + 1] as string)
  }
  return out
}

function pushFraming(out: Headers, framing: Framing): void {
  if (framing.kind === 'length') out.push('Content-Length', String(framing.length))
  else if (framing.kind === 'chunked') out.push('Transfer-Encoding', 'chunked')
}
