/**
 * The fields that carry a trace: `traceparent` and `tracestate` (W3C Trace Context), `b3` in one
 * field and in several (Zipkin). Where they disagree, traceparent is believed.
 */
import type { Headers } from '../../adapter/http1/codec.ts'

/** Where a client's request stands in its trace. */
export interface Parent {
  readonly traceId: string
  readonly spanId: string
  readonly sampled: boolean
}

const TRACEPARENT = /^(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/
const B3 = /^([0-9a-f]{32}|[0-9a-f]{16})-([0-9a-f]{16})(?:-([01d]))?(?:-[0-9a-f]{16})?$/i
const TRACE_ID = /^(?:[0-9a-f]{32}|[0-9a-f]{16})$/i
const SPAN_ID = /^[0-9a-f]{16}$/i
const ZEROS = /^0+$/

/** Those of one request. */
export class TraceFields {
  readonly #fields = new Map<string, string>()
  readonly #states: string[] = []
  #repeated = false
  #read = false
  #w3c: (Parent & { readonly flags: string }) | undefined
  #b3: Parent | undefined

  add(name: string, value: string): void {
    const lower = name.toLowerCase()
    if (lower === 'tracestate') {
      this.#states.push(value)
      return
    }
    if (lower === 'traceparent' && this.#fields.has(lower)) this.#repeated = true
    this.#fields.set(lower, value.trim())
  }

  /** `undefined` when nothing valid was sent. */
  get parent(): Parent | undefined {
    if (!this.#read) {
      this.#read = true
      this.#w3c = this.#repeated ? undefined : parseTraceparent(this.#fields.get('traceparent'))
      this.#b3 = parseB3(this.#fields.get('b3')) ?? this.#parseSeveral()
    }
    return this.#w3c ?? this.#b3
  }

  /** Whether to sample, when that is all the client has said. */
  get decision(): boolean | undefined {
    const said = this.#fields.get('b3') ?? this.#fields.get('x-b3-sampled')
    if (said === '1' || said === 'd') return true
    return said === '0' ? false : undefined
  }

  /** Adds what the upstream is told: the same trace, with our span in the client's place. */
  write(out: Headers, spanId: string): void {
    const w3c = this.#w3c
    if (w3c !== undefined) {
      out.push('traceparent', `00-${w3c.traceId}-${spanId}-${w3c.flags}`)
      for (const state of this.#states) out.push('tracestate', state)
    }
    const { parent } = this
    if (this.#b3 === undefined || parent === undefined) return
    const { traceId, spanId: parentId, sampled } = parent
    if (this.#fields.has('b3'))
      out.push('b3', `${traceId}-${spanId}-${sampled ? 1 : 0}-${parentId}`)
    if (!this.#fields.has('x-b3-traceid')) return
    out.push('X-B3-TraceId', traceId, 'X-B3-SpanId', spanId, 'X-B3-ParentSpanId', parentId)
    const flags = this.#fields.get('x-b3-flags')
    if (flags === '1') out.push('X-B3-Flags', flags)
    else out.push('X-B3-Sampled', sampled ? '1' : '0')
  }

  #parseSeveral(): Parent | undefined {
    const traceId = this.#fields.get('x-b3-traceid') ?? ''
    const spanId = this.#fields.get('x-b3-spanid') ?? ''
    if (!TRACE_ID.test(traceId) || !SPAN_ID.test(spanId)) return undefined
    const debug = this.#fields.get('x-b3-flags') === '1'
    const sampled = debug || /^(?:1|true)$/i.test(this.#fields.get('x-b3-sampled') ?? '')
    return parentOf(traceId, spanId, sampled)
  }
}

function parseTraceparent(value: string | undefined) {
  const match = value === undefined ? null : TRACEPARENT.exec(value)
  if (match === null) return undefined
  const [, version, traceId, spanId, flags, rest] = match as unknown as string[]
  if (version === '00' && rest !== undefined) return undefined
  const parent = parentOf(traceId as string, spanId as string, (parseFlags(flags) & 1) === 1)
  // Bits that version 00 does not know are not passed on (2.2.3.2 of the specification).
  return parent && { ...parent, flags: (parseFlags(flags) & 3).toString(16).padStart(2, '0') }
}

function parseFlags(text: string | undefined): number {
  return Number.parseInt(text as string, 16)
}

function parseB3(value: string | undefined): Parent | undefined {
  const match = value === undefined ? null : B3.exec(value)
  if (match === null) return undefined
  const [, traceId, spanId, state] = match as unknown as string[]
  return parentOf(traceId as string, spanId as string, state === '1' || state === 'd')
}

/** All zeros is no id, in either format. */
function parentOf(traceId: string, spanId: string, sampled: boolean): Parent | undefined {
  if (ZEROS.test(traceId) || ZEROS.test(spanId)) return undefined
  return { traceId: traceId.toLowerCase(), spanId: spanId.toLowerCase(), sampled }
}
