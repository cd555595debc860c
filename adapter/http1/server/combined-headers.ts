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

type Combined = NodeJS.Dict<string | string[]>

/**
 * The fields of one connection's requests, keyed by name in lower case, repeated ones combined as
 * node:http combines them. What they begin with is combined once for all that begin so.
 */
export class HeaderCombiner {
  readonly #joinDuplicates: boolean
  /** What `#combined` was made of. */
  #beginning: Headers = []
  #combined: Combined = {}

  constructor(joinDuplicates: boolean) {
    this.#joinDuplicates = joinDuplicates
  }

  /** @param beginning of `fields`; see `RequestHead.beginning` */
  combine(fields: Headers, beginning: Headers): IncomingHttpHeaders {
    if (beginning !== this.#beginning) this.#begin(beginning)
    // Not spread: Node 20 takes ten times as long to add a property to such a copy.
    const combined: Combined = Object.assign({}, this.#combined)
    // A list must not be the same one in every copy: all is done again.
    const from = combined['set-cookie'] === undefined ? beginning.length : 0
    if (from === 0) return this.#add({}, fields, 0)
    return this.#add(combined, fields, from)
  }

  #begin(beginning: Headers): void {
    this.#beginning = beginning
    this.#combined = this.#add({}, beginning, 0)
  }

  #add(combined: Combined, fields: Headers, from: number): Combined {
    for (let i = from; i < fields.length; i += 2) {
      const name = lowerCase(fields[i] as string)
      const value = fields[i + 1] as string
      const earlier = combined[name]
      if (name === 'set-cookie') {
        if (earlier === undefined) combined[name] = [value]
        else (earlier as string[]).push(value)
      } else if (typeof earlier !== 'string') {
        // Not `undefined`: a field may be called `constructor`.
        combined[name] = value
      } else if (this.#joinDuplicates || !SINGLE.has(name)) {
        combined[name] = `${earlier}${name === 'cookie' ? '; ' : ', '}${value}`
      }
    }
    return combined
  }
}

function lowerCase(name: string): string {
  const known = knownNames.get(name)
  if (known !== undefined) return known
  // Taken from an object, it is the one string that all objects name a property by: found sooner.
  const lower = Object.keys({ [name.toLowerCase()]: 0 })[0]!
  if (knownNames.size < MAX_KNOWN_NAMES) knownNames.set(name, lower)
  return lower
}
