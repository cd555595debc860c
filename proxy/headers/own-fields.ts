/** What no two requests have in common: the last fields of the head, and how it is called. */
import { furtherFields, type Headers } from '../../adapter/http1/codec.ts'
import { newRequestId } from '../tracing/request-id.ts'
import { addSpan, beginSpan, type Span, type Tracing, traceparent } from '../tracing/span.ts'
import type { SharedFields } from './request.ts'

export interface OwnFields {
  /** The lines, with the empty one that ends the head. */
  readonly lines: string
  readonly requestId: string
  /** `undefined` without tracing. */
  readonly span: Span | undefined
}

export function ownFields(shared: SharedFields, tracing: Tracing | undefined): OwnFields {
  const { requestId: given, trace } = shared
  if (given !== '' || trace !== undefined) return continued(shared, tracing)
  // Nothing in these lines comes from a client, so there is nothing to check.
  const requestId = newRequestId()
  if (tracing === undefined) {
    return { lines: `X-Request-Id: ${requestId}\r\n\r\n`, requestId, span: undefined }
  }
  const span = beginSpan(tracing)
  const lines = `X-Request-Id: ${requestId}\r\ntraceparent: ${traceparent(span)}\r\n\r\n`
  return { lines, requestId, span }
}

/** Of a client that is believed. */
function continued(
  { requestId: given, trace }: SharedFields,
  tracing: Tracing | undefined
): OwnFields {
  const requestId = given === '' ? newRequestId() : given
  const headers: Headers = ['X-Request-Id', requestId]
  const span = tracing && addSpan(headers, trace, tracing)
  return { lines: furtherFields(headers), requestId, span }
}
