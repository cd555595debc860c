import type { FastifyContentTypeParser } from 'fastify'
import { InvalidArgumentError } from '../errors.ts'
import { BodyMemory, BodyTooLongError, collectBody, WireRequest } from '../http1/index.ts'

export interface BufferParserOptions {
  /**
   * How long `request.body` keeps its bytes. `held`: for as long as it is held, as any Buffer.
   * `request`: until the response has been sent or its client is gone; then the memory serves the
   * next body and the Buffer is empty. That is many times cheaper for large bodies, which stay in
   * shared memory when they arrive in one piece. Whatever still uses the Buffer then, such as a
   * write to a file that nobody awaited, must be given a copy.
   *
   * @defaultValue 'held'
   */
  readonly lifetime?: 'held' | 'request'
}

const memory = new BodyMemory()

/**
 * A content type parser like Fastify's `{ parseAs: 'buffer' }` that copies a body once instead of
 * twice:
 *
 *     app.addContentTypeParser('application/octet-stream', shmesh.bufferParser())
 *
 * @throws {InvalidArgumentError}
 */
export function bufferParser(options: BufferParserOptions = {}): FastifyContentTypeParser {
  const { lifetime = 'held' } = options
  if (lifetime !== 'held' && lifetime !== 'request') {
    throw new InvalidArgumentError('lifetime', "'held' or 'request'", lifetime)
  }
  return (request, payload, done) => {
    const announced = request.headers['content-length']
    // Another codec closes a request when it was read, not when it was answered.
    const reuse = lifetime === 'request' && payload instanceof WireRequest
    const release = collectBody(
      payload,
      {
        limit: request.routeOptions.bodyLimit,
        length: announced === undefined ? undefined : Number(announced),
        memory: reuse ? memory : undefined
      },
      (error, body) => done(error instanceof BodyTooLongError ? tooLarge() : error, body)
    )
    if (reuse) payload.once('close', release)
  }
}

/** As Fastify's own. */
function tooLarge(): Error {
  return Object.assign(new Error('Request body is too large'), {
    name: 'FastifyError',
    code: 'FST_ERR_CTP_BODY_TOO_LARGE',
    statusCode: 413
  })
}
