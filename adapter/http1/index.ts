export { isFieldValue, isToken } from './characters.ts'
export { Clock } from './client/clock.ts'
export {
  type ClientConnection,
  ConnectionLostError,
  ResponseCutShortError
} from './client/connection.ts'
export type { Exchange } from './client/exchange.ts'
export { ConnectionPool, type PoolOptions, type PoolOwner } from './client/pool.ts'
export { type RequestBody, toRequestBody } from './client/request-body.ts'
export { fieldLine, hostLine, requestLine } from './client/request-lines.ts'
export {
  BodyLengthError,
  type BodyObserver,
  lengthLine,
  RequestWriter
} from './client/request-writer.ts'
export { BodyClosedError } from './client/stream-body.ts'
export { DuplexWire } from './duplex-wire.ts'
export { HttpParseError, type HttpParseErrorCode } from './errors.ts'
export { connectionOptions, HOP_BY_HOP, headerValue } from './headers.ts'
export type { Limits } from './limits.ts'
export type {
  Framing,
  Headers,
  MessageHandler,
  RequestHead,
  ResponseHead
} from './message.ts'
export { RequestReader } from './request-reader.ts'
export { type ExpectOptions, ResponseReader } from './response-reader.ts'
export {
  BodyMemory,
  BodyTooLongError,
  collectBody,
  HttpConnections,
  WireRequest
} from './server/index.ts'
export { ServerConnections } from './server-connections.ts'
export { originForm } from './target.ts'
export type { Carrier, Lease, Wire, WireOwner } from './wire.ts'
export {
  CHUNK_END,
  chunkHeader,
  LAST_CHUNK,
  SharedFields,
  writeRequestHead,
  writeResponseHead,
  writeSharedRequestHead,
  writeTrailers
} from './writer.ts'
