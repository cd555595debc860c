/** What requests and responses have in common on their way through. */
import type { Framing, Headers, RequestHead } from '../../adapter/http1/codec.ts'
import { HOST, kindOf } from './kinds.ts'

const VIA = 'shmesh'

/** Our entry in Via (RFC 9110 7.6.3), after a message of HTTP/1.`minor`. */
export function viaEntry(minor: 0 | 1): string {
  return minor === 0 ? `1.0 ${VIA}` : `1.1 ${VIA}`
}

/** How often a Via value names a proxy of our kind. */
export function countVias(value: string): number {
  return value.split(VIA).length - 1
}

/** Connection lists nothing that would have to be removed beyond what always is. */
export function isPlainOption(value: string): boolean {
  const option = value.toLowerCase()
  return option === 'keep-alive' || option === 'close' || option === 'upgrade'
}

/**
 * The protocols a request may switch to, as its Upgrade says, but never h2c: behind such a switch
 * requests would reach the upstream that no rule of this proxy has seen.
 */
export function offeredProtocols({ upgrade }: RequestHead): string | undefined {
  if (upgrade === undefined || !/h2c/i.test(upgrade)) return upgrade
  const protocols = upgrade.split(',').map((protocol) => protocol.trim())
  return protocols.filter((protocol) => !/^h2c(?:$|\/)/i.test(protocol)).join(', ') || undefined
}

/** Host stays whatever Connection lists: without it there is no request. */
export function withoutListed(headers: Headers, listed: ReadonlySet<string>): Headers {
  const out: Headers = []
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i] as string
    const stays = kindOf(name) === HOST || !listed.has(name.toLowerCase())
    if (stays) out.push(name, headers[i + 1] as string)
  }
  return out
}

export function pushFraming(out: Headers, framing: Framing): void {
  if (framing.kind === 'length') out.push('Content-Length', String(framing.length))
  else if (framing.kind === 'chunked') out.push('Transfer-Encoding', 'chunked')
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
