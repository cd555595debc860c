import type { Readable } from 'node:stream'
import type { BodySource } from './body-source.ts'
import { encodeFormData, type FormDataLike, sizeOf } from './form-data.ts'
import { IterableBody } from './iterable-body.ts'
import { StreamBody } from './stream-body.ts'

/** A request's body as it will be sent. */
export interface RequestBody {
  /** All of it, when it is there; undefined with `source`, and without a body. */
  readonly content: string | Buffer | undefined
  /** What it is read from, when it comes in parts. */
  readonly source: BodySource | undefined
  /** In bytes; undefined when it is not known yet. */
  readonly length: number | undefined
  /** What a request says of it unless its headers do. */
  readonly type: string | undefined
}

const NO_BODY: RequestBody = {
  content: undefined,
  source: undefined,
  length: 0,
  type: undefined
}

/**
 * The kinds of body undici takes: text, any bytes, Node.js and web streams, iterables, Blob, File
 * and FormData of any implementation.
 *
 * @returns undefined when `body` is none of them
 */
export function toRequestBody(body: unknown): RequestBody | undefined {
  if (body === undefined || body === null) return NO_BODY
  if (typeof body === 'string') return ofContent(body, Buffer.byteLength(body))
  if (typeof body !== 'object') return undefined
  if (body instanceof Uint8Array) {
    const bytes = Buffer.isBuffer(body)
      ? body
      : Buffer.from(body.buffer, body.byteOffset, body.byteLength)
    return ofContent(bytes, bytes.length)
  }
  if (ArrayBuffer.isView(body)) {
    return ofContent(Buffer.from(body.buffer, body.byteOffset, body.byteLength), body.byteLength)
  }
  if (body instanceof ArrayBuffer) return ofContent(Buffer.from(body), body.byteLength)
  if (isStream(body)) {
    const source = new StreamBody(body)
    return { content: undefined, source, length: source.length, type: undefined }
  }
  if (isFormData(body)) {
    const { contentType, length, chunks } = encodeFormData(body)
    return {
      content: undefined,
      source: new IterableBody({ [Symbol.asyncIterator]: chunks }, length),
      length,
      type: contentType
    }
  }
  if (isBlob(body)) {
    const length = sizeOf(body)
    const source = new IterableBody(streamOf(body), length)
    return { content: undefined, source, length, type: body.type || undefined }
  }
  if (isIterable(body)) {
    return {
      content: undefined,
      source: new IterableBody(body),
      length: undefined,
      type: undefined
    }
  }
  return undefined
}

function ofContent(content: string | Buffer, length: number): RequestBody {
  return length === 0 ? NO_BODY : { content, source: undefined, length, type: undefined }
}

function isStream(body: object): body is Readable {
  const { pipe, on } = body as Partial<Readable>
  return typeof pipe === 'function' && typeof on === 'function'
}

function isBlob(body: object): body is Blob {
  if (body instanceof Blob) return true
  const tag: unknown = (body as { [Symbol.toStringTag]?: unknown })[Symbol.toStringTag]
  if (tag !== 'Blob' && tag !== 'File') return false
  const { stream, arrayBuffer } = body as Partial<Blob>
  return typeof stream === 'function' || typeof arrayBuffer === 'function'
}

async function* streamOf(blob: Blob): AsyncGenerator<Uint8Array> {
  if (typeof blob.stream === 'function') {
    yield* blob.stream() as unknown as AsyncIterable<Uint8Array>
  } else {
    yield new Uint8Array(await blob.arrayBuffer())
  }
}

function isFormData(body: object): body is FormDataLike {
  const tag: unknown = (body as { [Symbol.toStringTag]?: unknown })[Symbol.toStringTag]
  if (tag !== 'FormData') return false
  const form = body as Record<string, unknown>
  return ['append', 'delete', 'get', 'getAll', 'has', 'set', 'entries'].every(
    (method) => typeof form[method] === 'function'
  )
}

function isIterable(
  body: object
): body is AsyncIterable<string | Uint8Array> & Iterable<string | Uint8Array> {
  const { [Symbol.iterator]: each, [Symbol.asyncIterator]: eachAsync } = body as {
    [Symbol.iterator]?: unknown
    [Symbol.asyncIterator]?: unknown
  }
  return typeof each === 'function' || typeof eachAsync === 'function'
}
