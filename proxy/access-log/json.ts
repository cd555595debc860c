/** One line as pino writes it, put together by hand: JSON.stringify would cost three times more. */
import { headerValue } from '../../adapter/http1/codec.ts'
import type { AccessRecord } from './record.ts'

/** Longer text is searched for what must be escaped by the library, which is faster at it then. */
const MAX_SCANNED = 64
/** `.000` to `.999` */
const THOUSANDTHS = Array.from({ length: 1000 }, (_, i) => `.${String(i).padStart(3, '0')}`)

let startedAt = 0
let start = ''

export function jsonLine(record: AccessRecord): string {
  const { durationMs, headMs, reason, error, cluster, upstream, transport, requestId, span } =
    record
  let line =
    lineStart(Date.now()) +
    record.origin.textOf(record.fields, record.host, () => aboutClient(record)) +
    `,"method":"${record.method}","target":${quote(record.target)},"status":${record.status}`
  if (reason !== undefined) {
    line += `,"flags":"${record.flags}","reason":"${reason}","error":${quote(error ?? '')}`
  }
  line += `,"durationMs":${milliseconds(durationMs)}`
  if (headMs !== undefined) line += `,"headMs":${milliseconds(headMs)}`
  line += `,"bytesReceived":${record.bytesReceived},"bytesSent":${record.bytesSent}`
  if (cluster !== undefined) line += `,"cluster":${quote(cluster)}`
  if (upstream !== undefined) line += `,"upstream":${quote(upstream)}`
  line += `,"retries":${record.retries}`
  if (transport !== undefined) line += `,"transport":"${transport}"`
  if (requestId !== undefined) line += `,"requestId":${quote(requestId)}`
  if (span !== undefined) {
    line += `,"traceId":"${span.traceId}","spanId":"${span.spanId}"`
    if (span.parentId !== '') line += `,"parentId":"${span.parentId}"`
  }
  return `${line}}\n`
}

/** The same for every line of a millisecond. */
function lineStart(now: number): string {
  if (now !== startedAt) {
    startedAt = now
    start = `{"level":30,"time":${now},"msg":"request"`
  }
  return start
}

function aboutClient({ origin, fields, host }: AccessRecord): string {
  const { listener, client } = origin
  const userAgent = headerValue(fields, 'user-agent')
  const text =
    `,"listener":${quote(listener)}${client === '' ? '' : `,"client":"${client}"`}` +
    `,"host":${quote(host)}${userAgent === undefined ? '' : `,"userAgent":${quote(userAgent)}`}`
  // In one piece: what is made by joining is joined anew by each line.
  return Buffer.from(text, 'latin1').toString('latin1')
}

/** In ASCII. */
function quote(text: string): string {
  if (text.length > MAX_SCANNED) return escaped(text)
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code < 0x20 || code === 0x22 || code === 0x5c || code > 0x7e) return escaped(text)
  }
  return `"${text}"`
}

function escaped(text: string): string {
  return JSON.stringify(text).replace(
    /[^ -~]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
  )
}

/** Three digits behind the point; the shortest text of a number takes far longer to find. */
function milliseconds(value: number): string {
  const microseconds = Math.round(value * 1000)
  const whole = Math.trunc(microseconds / 1000)
  return whole + (THOUSANDTHS[microseconds - whole * 1000] as string)
}
