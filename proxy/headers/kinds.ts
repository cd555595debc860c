/** Which fields are treated otherwise than "send it on as it is". */

/** Of one connection only (RFC 9110 7.6.1): never sent on. */
export const HOP = 1
export const CONNECTION = 2
export const LENGTH = 3
export const HOST = 4
export const VIA_FIELD = 5
export const REQUEST_ID = 6
/** Says for whom a client speaks, and is not rewritten by us. */
export const FORWARDED_OTHER = 7
export const FORWARDED_FOR = 8
export const FORWARDED_HOST = 9
export const FORWARDED_PROTO = 10
export const TE = 11
export const TRAILER = 12
export const KEEP_ALIVE = 13
export const TRANSPORT = 14
export const FORWARDED_PORT = 15
export const FORWARDED = 16
/** Carries a trace; tracing/fields.ts reads it. */
export const TRACE = 17

const KINDS: ReadonlyMap<string, number> = new Map([
  ['connection', CONNECTION],
  ['keep-alive', KEEP_ALIVE],
  ['proxy-connection', HOP],
  ['proxy-authenticate', HOP],
  ['proxy-authorization', HOP],
  ['transfer-encoding', HOP],
  ['upgrade', HOP],
  ['http2-settings', HOP],
  ['te', TE],
  ['trailer', TRAILER],
  ['content-length', LENGTH],
  ['host', HOST],
  ['via', VIA_FIELD],
  ['x-request-id', REQUEST_ID],
  ['forwarded', FORWARDED],
  ['x-real-ip', FORWARDED_OTHER],
  ['x-forwarded-prefix', FORWARDED_OTHER],
  ['x-forwarded-server', FORWARDED_OTHER],
  ['x-forwarded-port', FORWARDED_PORT],
  ['x-forwarded-for', FORWARDED_FOR],
  ['x-forwarded-host', FORWARDED_HOST],
  ['x-forwarded-proto', FORWARDED_PROTO],
  ['x-shmesh-transport', TRANSPORT],
  ['traceparent', TRACE],
  ['tracestate', TRACE],
  ['b3', TRACE],
  ['x-b3-traceid', TRACE],
  ['x-b3-spanid', TRACE],
  ['x-b3-parentspanid', TRACE],
  ['x-b3-sampled', TRACE],
  ['x-b3-flags', TRACE]
])

/** Most names are told apart by their length alone, without lower-casing and hashing them. */
const KNOWN_LENGTHS: readonly boolean[] = Array.from({ length: 32 }, (_, length) =>
  [...KINDS.keys()].some((name) => name.length === length)
)

/** One of the constants above, or 0. */
export function kindOf(name: string): number {
  if (KNOWN_LENGTHS[name.length] !== true) return 0
  return KINDS.get(name.toLowerCase()) ?? 0
}
