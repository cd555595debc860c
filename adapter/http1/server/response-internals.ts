import type { ServerResponse } from 'node:http'
import type { WireStream } from './wire-stream.ts'

/** Of `ServerResponse`, as node:http uses it. */
export interface Internals {
  socket: WireStream | null
  _header: string | null
  _headerSent: boolean
  _hasBody: boolean
  _contentLength: number | null
  _trailer: string
  _closed: boolean
  /** Its connection ends behind it. */
  _last: boolean
  _keepAliveTimeout: number
  _maxRequestsPerSocket: number
  _expect_continue: boolean
  maxRequestsOnConnectionReached: boolean
  chunkedEncoding: boolean
  _implicitHeader(): void
  _finish(): void
}

export function internals(response: ServerResponse): Internals {
  return response as unknown as Internals
}

/** What can be sent as it is; undefined for anything else. */
export function bodyOf(chunk: unknown): Buffer | string | undefined {
  if (typeof chunk === 'string' || Buffer.isBuffer(chunk)) return chunk
  if (!(chunk instanceof Uint8Array)) return undefined
  return Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
}

/** In bytes, as a string takes them in `encoding`, UTF-8 by default. */
export function lengthOf(body: Buffer | string, encoding: BufferEncoding | undefined): number {
  return typeof body === 'string' ? Buffer.byteLength(body, encoding) : body.length
}
