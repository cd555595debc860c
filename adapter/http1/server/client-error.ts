import { HttpParseError } from '../errors.ts'

/** What node:http puts into `code`; handlers of `clientError` choose their answer by it. */
export interface ClientError extends Error {
  readonly code: string
  /** What was wrong, for people. */
  readonly reason?: string
}

/** Codes of ours that have a counterpart that is not `HPE_INVALID_` and their own name. */
const NODE_CODES: Readonly<Record<string, string>> = {
  HTTP_HEADERS_TOO_LARGE: 'HPE_HEADER_OVERFLOW',
  HTTP_TARGET_TOO_LONG: 'HPE_HEADER_OVERFLOW',
  HTTP_CHUNK_EXTENSIONS_TOO_LARGE: 'HPE_CHUNK_EXTENSIONS_OVERFLOW',
  HTTP_TRUNCATED: 'HPE_INVALID_EOF_STATE',
  HTTP_INVALID_START_LINE: 'HPE_INVALID_CONSTANT',
  HTTP_INVALID_TARGET: 'HPE_INVALID_URL',
  HTTP_UNSUPPORTED_VERSION: 'HPE_INVALID_VERSION',
  HTTP_INVALID_LINE_END: 'HPE_LF_EXPECTED',
  HTTP_INVALID_HEADER_NAME: 'HPE_INVALID_HEADER_TOKEN',
  HTTP_INVALID_HEADER_VALUE: 'HPE_INVALID_HEADER_TOKEN',
  HTTP_OBSOLETE_FOLDING: 'HPE_INVALID_HEADER_TOKEN',
  HTTP_INVALID_HOST: 'HPE_INVALID_HEADER_TOKEN',
  HTTP_INVALID_CHUNK: 'HPE_INVALID_CHUNK_SIZE',
  HTTP_INVALID_TRAILER: 'HPE_INVALID_HEADER_TOKEN',
  HTTP_UNSUPPORTED_TRANSFER_ENCODING: 'HPE_INVALID_TRANSFER_ENCODING',
  HTTP_AMBIGUOUS_FRAMING: 'HPE_UNEXPECTED_CONTENT_LENGTH'
}

/** The error as node:http would report it; ours is its cause. */
export function parseError(cause: HttpParseError): ClientError {
  const code = NODE_CODES[cause.code] ?? cause.code.replace(/^HTTP_/, 'HPE_')
  return Object.assign(new Error(`Parse Error: ${cause.message}`, { cause }), {
    code,
    reason: cause.message
  })
}

export function timeoutError(): ClientError {
  return Object.assign(new Error('Request timeout'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' })
}

/** What a request ends with whose client went away. */
export function abortedError(): ClientError {
  return Object.assign(new Error('aborted'), { code: 'ECONNRESET' })
}

/** The whole answer when nobody handles `clientError`. */
export function answerTo({ code, cause }: ClientError): string {
  const status = code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : statusOf(cause)
  return `HTTP/1.1 ${status} ${REASONS[status]}\r\nConnection: close\r\n\r\n`
}

const REASONS = {
  400: 'Bad Request',
  408: 'Request Timeout',
  413: 'Payload Too Large',
  414: 'URI Too Long',
  431: 'Request Header Fields Too Large',
  501: 'Not Implemented',
  505: 'HTTP Version Not Supported'
}

function statusOf(cause: unknown): keyof typeof REASONS {
  return cause instanceof HttpParseError ? cause.status : 400
}
