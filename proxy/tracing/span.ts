import type { Headers } from '../../adapter/http1/codec.ts'
import type { TraceFields } from './fields.ts'
import { randomHex } from './random-hex.ts'

/** The proxy's part in a trace: one per request. */
export interface Span {
  /** 32 hexadecimal digits; 16 when the client's b3 had so few. */
  readonly traceId: string
  /** Of this hop: 16 hexadecimal digits. */
  readonly spanId: string
  /** The caller's span; empty when the trace begins here. */
  readonly parentId: string
  readonly sampled: boolean
}

/** What a proxy does about traces. */
export interface Tracing {
  /** Of the traces that begin here, the share that is sampled: 0 to 1. */
  readonly sample: number
}

/** A new trace. */
export function beginSpan({ sample }: Tracing, decision?: boolean): Span {
  const sampled = decision ?? (sample >= 1 || Math.random() < sample)
  return { traceId: randomHex(32), spanId: randomHex(16), parentId: '', sampled }
}

/** As W3C Trace Context writes it. */
export function traceparent({ traceId, spanId, sampled }: Span): string {
  return `00-${traceId}-${spanId}-${sampled ? '01' : '00'}`
}

/**
 * Goes on with the client's trace, or begins one, and adds the fields that say so to `out`: in the
 * formats the client used, W3C Trace Context for a new trace.
 *
 * @param fields the client's; `undefined` when it sent none or is not to be believed
 */
export function addSpan(out: Headers, fields: TraceFields | undefined, tracing: Tracing): Span {
  const parent = fields?.parent
  if (fields === undefined || parent === undefined) {
    const span = beginSpan(tracing, fields?.decision)
    out.push('traceparent', traceparent(span))
    return span
  }
  const spanId = randomHex(16)
  fields.write(out, spanId)
  return { traceId: parent.traceId, spanId, parentId: parent.spanId, sampled: parent.sampled }
}
