import { errors } from 'undici'
import { ConnectionResetError, ShmError } from '../errors.ts'
import {
  BodyClosedError,
  BodyLengthError,
  ConnectionLostError,
  HttpParseError,
  ResponseCutShortError
} from '../http1/index.ts'
import { UnreachableError } from '../shmipc/index.ts'

/**
 * An error of lower floors as the one of undici whose code retry logic knows; `cause` keeps the
 * original. What is not ours comes back as it is.
 */
export function translateError(error: Error): Error {
  if (error instanceof HttpParseError) return ofResponse(error)
  if (error instanceof UnreachableError) {
    const message = `cannot reach the proxy: ${error.message}; is it running, and is this its path?`
    return caused(new errors.SocketError(message), error)
  }
  // As of a server that destroys a socket; retry logic is known to look for these words.
  if (error instanceof ConnectionResetError) {
    return caused(new errors.SocketError('other side closed'), error)
  }
  if (error instanceof ConnectionLostError || error instanceof ShmError) {
    return caused(new errors.SocketError(error.message), error)
  }
  if (error instanceof ResponseCutShortError) {
    const { hadLength, message } = error
    if (hadLength) return caused(new errors.ResponseContentLengthMismatchError(message), error)
    return caused(parserError('Invalid EOF state', 'INVALID_EOF_STATE'), error)
  }
  if (error instanceof BodyLengthError) {
    return caused(new errors.RequestContentLengthMismatchError(error.message), error)
  }
  if (error instanceof BodyClosedError) {
    return caused(new errors.RequestAbortedError(error.message), error)
  }
  return error
}

/** As `translateError`, of a connection that broke; that of a socket is known by its code. */
export function translateBreak(error: Error): Error {
  if (error instanceof ConnectionResetError) return translateError(error)
  const { code } = error as NodeJS.ErrnoException
  if (code !== 'ECONNRESET' && code !== 'EPIPE') return translateError(error)
  return caused(new errors.SocketError(error.message), error)
}

function ofResponse(error: HttpParseError): Error {
  switch (error.code) {
    case 'HTTP_HEADERS_TOO_LARGE':
      return caused(new errors.HeadersOverflowError(error.message), error)
    case 'HTTP_UNEXPECTED_UPGRADE':
      return caused(new errors.SocketError('bad upgrade'), error)
    default:
      return caused(parserError(error.message, error.code.slice('HTTP_'.length)), error)
  }
}

function caused<E extends Error>(error: E, cause: Error): E {
  error.cause = cause
  return error
}

function parserError(message: string, code: string): Error {
  // Its types know only the options of Error; it takes the code, without HPE_.
  const { HTTPParserError } = errors as never as {
    HTTPParserError: new (message: string, code: string) => Error
  }
  return new HTTPParserError(`Response does not match the HTTP/1.1 protocol (${message})`, code)
}
