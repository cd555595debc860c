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
  CHUNKED_LINE,
  lengthLine,
  RequestWriter
} from './client/request-writer.ts'
export { BodyClosedError } from './client/stream-body.ts'
export * from './codec.ts'
export { DuplexWire } from './duplex-wire.ts'
export {
  BodyMemory,
  BodyTooLongError,
  collectBody,
  HttpConnections,
  trustCollector,
  WireRequest
} from './server/index.ts'
export { ServerConnections } from './server-connections.ts'
export type { Carrier, Lease, Wire, WireOwner } from './wire.ts'
