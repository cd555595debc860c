/** Request bodies that lie in shared memory before they are sent. */
import { errors } from 'undici'
import { InvalidArgumentError } from '../errors.ts'
import { allocateIn, HeldSlice } from '../shmipc/index.ts'
import { Origin } from './origin.ts'
import type { Router } from './router.ts'

/**
 * Memory of the session that requests to `origin` go by; undefined when there is none, or none so
 * large.
 *
 * @throws {InvalidArgumentError} (`SHM_ERR_INVALID_ARG`) when `bytes` is no length
 * @throws {errors.InvalidArgumentError} of undici when `origin` is none
 */
export function allocateFor(
  router: Router,
  origin: string | URL,
  bytes: number
): Buffer | undefined {
  if (!Number.isSafeInteger(bytes) || bytes < 0) {
    throw new InvalidArgumentError('bytes', 'a whole number of at least 0', bytes)
  }
  const route = router.find(origin)
  const session = route instanceof Origin ? route.way.link.session : undefined
  return session === undefined ? undefined : allocateIn(session, bytes)
}

/** Gives the memory of a Buffer from `alloc` back, if it is one. */
export function releaseBody(buffer: Buffer): void {
  HeldSlice.of(buffer)?.release()
}

/** The socket of the server that can read `body` where it lies; undefined for ordinary memory. */
export function pathOf(body: unknown): string | undefined {
  return Buffer.isBuffer(body) ? HeldSlice.of(body)?.session.path : undefined
}

/**
 * A Buffer from `alloc` is empty once it was sent: a second request, a retry perhaps, would carry
 * nothing instead.
 *
 * @throws {errors.InvalidArgumentError} of undici
 */
export function checkUnsent(body: unknown): void {
  if (ArrayBuffer.isView(body) && body.byteLength === 0 && HeldSlice.isOver(body)) {
    throw new BodyGoneError()
  }
}

/** The bytes of a body were given away, by another request say. */
export class BodyGoneError extends errors.InvalidArgumentError {
  constructor() {
    super(
      'body is a Buffer of alloc() that was sent, or released, and is empty: allocate one for each request, or give a Buffer of your own when it must be sent again'
    )
  }
}
