import { EventEmitter } from 'node:events'
import type { FastifyInstance } from 'fastify'
import { trustCollector } from '../http1/index.ts'

type Parse = (request: unknown, body: unknown, done: (error: null, body: unknown) => void) => void

/** Fastify's own, of 5.x. Nothing here is documented: what differs is left alone. */
interface ContentTypeParser {
  add(type: string, options: object, parse: Parse): void
  run(type: string, handler: () => void, request: unknown, reply: unknown): void
}

const TYPE = 'application/x-shmesh'
const BODY = 'a body in shared memory'

/** Fastify's that were tried. */
const tried = new WeakSet<object>()

/**
 * Bodies for Fastify's `parseAs: 'buffer'` and `'string'` are read where they lie in shared memory,
 * provided that this Fastify collects them as those before it did: that is tried out, with a body
 * that is overwritten as soon as it has ended.
 */
export function lendToParsers(app: FastifyInstance): void {
  try {
    const Parser = parserOf(app)
    if (Parser === undefined || tried.has(Parser)) return
    tried.add(Parser)
    const buffer = collectorOf(new Parser(BODY.length, 'error', 'error'), 'buffer')
    const string = collectorOf(new Parser(BODY.length, 'error', 'error'), 'string')
    if (buffer !== undefined && string !== undefined && `${buffer}` === `${string}`) {
      trustCollector(buffer)
    }
  } catch {
    // Another Fastify: it is given copies.
  }
}

type ParserClass = new (bodyLimit: number, ...poisoning: string[]) => ContentTypeParser

function parserOf(app: FastifyInstance): ParserClass | undefined {
  for (let object: object | null = app; object !== null; object = Object.getPrototypeOf(object)) {
    const symbols = Object.getOwnPropertySymbols(object)
    const symbol = symbols.find(({ description }) => description === 'fastify.contentTypeParser')
    if (symbol !== undefined) {
      return (app as unknown as Record<symbol, { constructor: ParserClass }>)[symbol]?.constructor
    }
  }
  return undefined
}

/** @returns its 'data' listener, when what it hands on is not touched by what becomes of the chunk */
function collectorOf(
  parser: ContentTypeParser,
  parseAs: 'buffer' | 'string'
): (() => void) | undefined {
  const payload = Object.assign(new EventEmitter(), { resume() {}, setEncoding() {} })
  let parsed: unknown
  parser.add(TYPE, { parseAs, bodyLimit: BODY.length }, (_request, body, done) => {
    parsed = body
    done(null, body)
  })
  const context = { _parserOptions: { limit: null } }
  // By symbols of its own that stand for the route.
  const reply = new Proxy({}, { get: () => context })
  parser.run(TYPE, () => undefined, { headers: {}, raw: payload }, reply)
  const [collector] = payload.listeners('data')
  const chunk = Buffer.from(BODY)
  let decoded = 0
  // The only way to text that is safe: see `shared-text.ts`.
  chunk.toString = () => {
    decoded++
    return BODY
  }
  payload.emit('data', chunk)
  payload.emit('end')
  const before = String(parsed)
  chunk.fill(0)
  const kept = before === BODY && String(parsed) === BODY && payload.listenerCount('data') === 0
  return kept && decoded === (parseAs === 'string' ? 1 : 0) ? (collector as () => void) : undefined
}
