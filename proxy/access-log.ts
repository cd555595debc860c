import type { Logger } from 'pino'
import { headerValue } from '../adapter/http1/index.ts'
import type { Exchange } from './exchange.ts'

/** Writes one line about a request that has ended. */
export function logAccess(log: Logger, exchange: Exchange): void {
  const { head, reply, failure, attempts } = exchange
  log.info({
    msg: 'request',
    method: head.method,
    host: head.host,
    target: head.target,
    status: reply.status,
    durationMs: Math.round((performance.now() - exchange.startedAt) * 1000) / 1000,
    bytesReceived: exchange.upload.received,
    bytesSent: reply.bytes,
    upstream: attempts.endpoint?.label,
    attempts: attempts.count,
    transport: exchange.label,
    reason: failure?.reason,
    error: failure?.message,
    userAgent: headerValue(head.headers, 'user-agent'),
    requestId: headerValue(head.headers, 'x-request-id')
  })
}
