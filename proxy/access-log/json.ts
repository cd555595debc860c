import type { AccessRecord } from './record.ts'

/** Longer text is searched for what must be escaped by the library, which is faster at it then. */
const MAX_SCANNED = 64

/** One line as pino writes it, put together by hand: JSON.stringify would cost three times more. */
export function jsonLine(record: AccessRecord): string {
  let line = `{"level":30,"time":${Date.now()},"msg":"request"`
  line += `,"listener":${quote(record.listener)}`
  if (record.client !== '') line += `,"client":"${record.client}"`
  line += `,"method":"${record.method}","host":${quote(record.host)}`
  line += `,"target":${quote(record.target)},"status":${record.status}`
  if (record.flags !== '') line += `,"flags":"${record.flags}"`
  if (record.reason !== undefined) line += `,"reason":"${record.reason}"`
  if (record.error !== undefined) line += `,"error":${quote(record.error)}`
  line += `,"durationMs":${round(record.durationMs)}`
  if (record.headMs !== undefined) line += `,"headMs":${round(record.headMs)}`
  line += `,"bytesReceived":${record.bytesReceived},"bytesSent":${record.bytesSent}`
  if (record.cluster !== undefined) line += `,"cluster":${quote(record.cluster)}`
  if (record.upstream !== undefined) line += `,"upstream":${quote(record.upstream)}`
  line += `,"retries":${record.retries}`
  if (record.transport !== undefined) line += `,"transport":"${record.transport}"`
  if (record.requestId !== undefined) line += `,"requestId":${quote(record.requestId)}`
  if (record.traceId !== undefined) {
    line += `,"traceId":"${record.traceId}","spanId":"${record.spanId}"`
    if (record.parentId !== '') line += `,"parentId":"${record.parentId}"`
  }
  if (record.userAgent !== undefined) line += `,"userAgent":${quote(record.userAgent)}`
  return `${line}}\n`
}

function quote(text: string): string {
  if (text.length > MAX_SCANNED) return JSON.stringify(text)
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code < 0x20 || code === 0x22 || code === 0x5c || code > 0x7e) return JSON.stringify(text)
  }
  return `"${text}"`
}

function round(milliseconds: number): number {
  return Math.round(milliseconds * 1000) / 1000
}
