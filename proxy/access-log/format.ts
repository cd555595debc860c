/** The formats of the access log: JSON, and lines put together from `%{NAME}` and text. */
import { InvalidArgumentError } from '../../adapter/errors.ts'
import { headerValue } from '../../adapter/http1/codec.ts'
import { nearest } from '../config/suggest.ts'
import { commonDate } from './clock.ts'
import { jsonLine } from './json.ts'
import type { AccessRecord } from './record.ts'

/** Makes the line of one request, bytes as Latin-1 text, with its line feed. */
export type LineFormat = (record: AccessRecord) => string

const COMMON =
  '%{client} - - [%{date}] "%{method} %{target} HTTP/%{version}" %{status} %{bytesSent}'

/** Formats that have a name. */
const PRESETS: Readonly<Record<string, string>> = {
  common: COMMON,
  combined: `${COMMON} "%{referer}" "%{userAgent}"`,
  shmesh:
    '[%{time}] %{listener} "%{method} %{target} HTTP/%{version}" %{status} %{flags} ' +
    '%{bytesReceived} %{bytesSent} %{durationMs} %{headMs} %{transport} %{retries} ' +
    '"%{client}" "%{host}" "%{upstream}" "%{requestId}" %{traceId} "%{userAgent}"'
}

/** What a name in a template stands for; nothing is shown as `-`. */
const FIELDS: Readonly<Record<string, (record: AccessRecord) => string | number | undefined>> = {
  time: () => new Date().toISOString(),
  date: () => commonDate(Date.now()),
  listener: (record) => record.origin.listener,
  client: (record) => record.origin.client,
  method: (record) => record.method,
  host: (record) => record.host,
  target: (record) => record.target,
  version: (record) => record.version,
  status: (record) => record.status,
  flags: (record) => record.flags,
  reason: (record) => record.reason,
  error: (record) => record.error,
  durationMs: (record) => record.durationMs.toFixed(3),
  headMs: (record) => record.headMs?.toFixed(3),
  bytesReceived: (record) => record.bytesReceived,
  bytesSent: (record) => record.bytesSent,
  upstream: (record) => record.upstream,
  cluster: (record) => record.cluster,
  retries: (record) => record.retries,
  transport: (record) => record.transport,
  requestId: (record) => record.requestId,
  traceId: (record) => record.span?.traceId,
  spanId: (record) => record.span?.spanId,
  parentId: (record) => record.span?.parentId,
  userAgent: (record) => headerValue(record.fields, 'user-agent'),
  referer: (record) => headerValue(record.fields, 'referer')
}

/** Names a template may have. */
export const FIELD_NAMES: readonly string[] = Object.keys(FIELDS)

/**
 * Returns `format` when it can be compiled.
 *
 * @param option name of the option, for the message
 * @throws {InvalidArgumentError}
 */
export function checkFormat(option: string, format: string): string {
  if (format === 'json' || Object.hasOwn(PRESETS, format)) return format
  const names = [...format.matchAll(/%\{([^}]*)\}?/g)].map((match) => match[1] as string)
  if (names.length === 0) {
    const expected = `json, ${Object.keys(PRESETS).join(', ')}, or text with names such as %{status}`
    throw new InvalidArgumentError(option, expected, format)
  }
  for (const name of names) {
    if (Object.hasOwn(FIELDS, name)) continue
    const near = nearest(name, FIELD_NAMES)
    const hint = near === undefined ? FIELD_NAMES.join(', ') : `%{${near}}`
    throw new InvalidArgumentError(option, `a format with known names (${hint})`, `%{${name}}`)
  }
  return format
}

/** @param format one that {@link checkFormat} has passed */
export function compileFormat(format: string): LineFormat {
  if (format === 'json') return jsonLine
  const template = PRESETS[format] ?? format
  const texts = Buffer.from(template)
    .toString('latin1')
    .split(/%\{[^}]*\}/)
  const readers = [...template.matchAll(/%\{([^}]*)\}/g)].map((m) => FIELDS[m[1] as string]!)
  return (record) => {
    let line = texts[0] as string
    for (let i = 0; i < readers.length; i++) {
      line += show(readers[i]!(record)) + (texts[i + 1] as string)
    }
    return `${line}\n`
  }
}

/** As Apache does: nothing a client sends can end the line or a quoted part of it. */
function show(value: string | number | undefined): string {
  if (typeof value === 'number') return String(value)
  if (value === undefined || value === '') return '-'
  return value.replace(/[^ !#-[\]-~]/g, (character) => {
    if (character === '"' || character === '\\') return `\\${character}`
    return `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`
  })
}
