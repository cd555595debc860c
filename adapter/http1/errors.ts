/**
 * What was wrong with a message. Stable: match on these, never on the message text.
 * `HTTP_TRUNCATED` is the one that also happens between honest peers, when a connection breaks.
 */
export type HttpParseErrorCode =
  | 'HTTP_INVALID_LINE_END'
  | 'HTTP_INVALID_START_LINE'
  | 'HTTP_INVALID_METHOD'
  | 'HTTP_INVALID_TARGET'
  | 'HTTP_INVALID_STATUS'
  | 'HTTP_UNSUPPORTED_VERSION'
  | 'HTTP_INVALID_HEADER_NAME'
  | 'HTTP_INVALID_HEADER_VALUE'
  | 'HTTP_OBSOLETE_FOLDING'
  | 'HTTP_INVALID_HOST'
  | 'HTTP_INVALID_CONTENT_LENGTH'
  | 'HTTP_INVALID_TRANSFER_ENCODING'
  | 'HTTP_UNSUPPORTED_TRANSFER_ENCODING'
  | 'HTTP_AMBIGUOUS_FRAMING'
  | 'HTTP_INVALID_CHUNK'
  | 'HTTP_INVALID_TRAILER'
  | 'HTTP_TARGET_TOO_LONG'
  | 'HTTP_HEADERS_TOO_LARGE'
  | 'HTTP_BODY_TOO_LARGE'
  | 'HTTP_CHUNK_EXTENSIONS_TOO_LARGE'
  | 'HTTP_UNEXPECTED_RESPONSE'
  | 'HTTP_UNEXPECTED_UPGRADE'
  | 'HTTP_TRUNCATED'

/**
 * The peer's bytes are not an acceptable HTTP/1.1 message. The connection must be closed: where the
 * next message begins is unknown. `status` is what a server answers such a request with; a proxy
 * that met it in an upstream's response answers 502 whatever `status` says.
 */
export class HttpParseError extends Error {
  override readonly name: string = 'HttpParseError'
  readonly status: 400 | 413 | 414 | 431 | 501 | 505
  readonly code: HttpParseErrorCode

  constructor(
    code: HttpParseErrorCode,
    message: string,
    status: 400 | 413 | 414 | 431 | 501 | 505 = 400
  ) {
    super(message)
    this.code = code
    this.status = status
  }
}

/** A byte as error messages show it: `0x0a`. */
export function hex(byte: number): string {
  return `0x${byte.toString(16).padStart(2, '0')}`
}
