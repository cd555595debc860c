import type { IncomingHttpHeaders } from 'node:http'
import type { Headers } from '../message.ts'

/** Of these the first counts and others are dropped, as `message.headers` of node:http says. */
const SINGLE = new Set([
  'age',
  'authorization',
  'content-length',
  'content-type',
  'etag',
  'expires',
  'from',
  'host',
  'if-modified-since',
  'if-unmodified-since',
  'last-modified',
  'location',
  'max-forwards',
  'proxy-authorization',
  'referer',
  'retry-after',
  'server',
  'user-agent'
])

/** Clients choose names: beyond this many, new ones are lowered each time. */
const MAX_KNOWN_NAMES = 512

/** Names as received, in lower case. */
const knownNames = new Map<string, string>()

/** The fields keyed by name in lower case, repeated ones combined as node:http combines them. */
export function combineHeaders(fields: Headers, joinDuplicates: boolean): IncomingHttpHeaders {
  const combined: IncomingHttpHeaders = {}
  for (let i = 0; i < fields.length; i += 2) {
    const name = lowerCase(fields[i] as string)
    const value = fields[i + 1] as string
    const earlier = combined[name]
    if (name === 'set-cookie') {
      if (earlier === undefined) combined[name] = [value]
      else (earlier as string[]).push(value)
    } else if (typeof earlier !== 'string') {
      // Not `undefined`: a field may be called `constructor`.
      combined[name] = value
    } else if (joinDuplicates || !SINGLE.has(name)) {
      combined[name] = `${earlier}${name === 'cookie' ? '; ' : ', '}${value}`
    }
  }
  return combined
}

function lowerCase(name: string): string {
  const known = knownNames.get(name)
  if (known !== undefined) return known
  const lower = name.toLowerCase()
  if (knownNames.size < MAX_KNOWN_NAMES) knownNames.set(name, lower)
  return lower
}
