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

/**
 * Goes on with the client's trace, or begins one, and adds the fields that say so to `out`: in the
 * formats the client used, W3C Trace Context for a new trace.
 *
 * @param fields the client's; `undefined` when it sent none or is not to be believed
 */
export function addSpan(out: Headers, fields: TraceFields | undefined, tracing: Tracing): Span {
  const parent = fields?.parent
  const spanId = randomHex(16)
  if (fields === undefined || parent === undefined) {
    const sampled = fields?.decision ?? (tracing.sample >= 1 || Math.random() < tracing.sample)
    const traceId = randomHex(32)
    out.push('traceparent', `00-${traceId}-${spanId}-${sampled ? '01' : '00'}`)
    return { traceId, spanId, parentId: '', sampled }
  }
  fields.write(out, spanId)
  return { traceId: parent.traceId, spanId, parentId: parent.spanId, sampled: parent.sampled }
}
