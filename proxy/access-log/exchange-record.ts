import { headerValue } from '../../adapter/http1/codec.ts'
import type { Exchange } from '../exchange.ts'
import { type Failure, responseFlags } from '../failure.ts'
import type { AccessRecord } from './record.ts'

/** Of a request that was read and has ended. */
export function exchangeRecord(exchange: Exchange, durationMs: number): AccessRecord {
  const { head, reply, failure, attempts, written, forwarding } = exchange
  const span = written?.span
  const retries = Math.max(0, attempts.count - 1)
  return {
    listener: forwarding.hop.listener,
    client: forwarding.remoteAddress,
    method: head.method,
    host: head.host,
    target: head.target,
    version: head.version === 1 ? '1.1' : '1.0',
    status: reply.status,
    flags: responseFlags(failure, retries),
    reason: failure?.reason,
    error: failure?.message,
    durationMs,
    headMs: exchange.headMs,
    bytesReceived: exchange.upload.received,
    bytesSent: reply.bytes,
    upstream: attempts.endpoint?.label,
    cluster: exchange.destination?.cluster?.config.name,
    retries,
    transport: exchange.label,
    requestId: written?.requestId,
    traceId: span?.traceId,
    spanId: span?.spanId,
    parentId: span?.parentId,
    userAgent: headerValue(head.headers, 'user-agent'),
    referer: headerValue(head.headers, 'referer')
  }
}

/** Of what was answered before it could be read as a request. */
export function refusalRecord(listener: string, client: string, failure: Failure): AccessRecord {
  return {
    listener,
    client,
    method: '',
    host: '',
    target: '',
    version: '',
    status: failure.status,
    flags: responseFlags(failure, 0),
    reason: failure.reason,
    error: failure.message,
    durationMs: 0,
    headMs: undefined,
    bytesReceived: 0,
    bytesSent: 0,
    upstream: undefined,
    cluster: undefined,
    retries: 0,
    transport: undefined,
    requestId: undefined,
    traceId: undefined,
    spanId: undefined,
    parentId: undefined,
    userAgent: undefined,
    referer: undefined
  }
}
