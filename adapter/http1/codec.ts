/** The codec alone, and the clock of deadlines: no hosts of requests on either side. */
export { isFieldValue, isToken } from './characters.ts'
export { Clock, type Watched } from './clock.ts'
export { HttpParseError, type HttpParseErrorCode } from './errors.ts'
export { connectionOptions, HOP_BY_HOP, headerValue } from './headers.ts'
export { KnownFields } from './known-fields.ts'
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
export { isAuthority, originForm } from './target.ts'
export {
  beginRequestHead,
  CHUNK_END,
  chunkHeader,
  furtherFields,
  LAST_CHUNK,
  SharedFields,
  writeRequestHead,
  writeResponseHead,
  writeTrailers
} from './writer.ts'
