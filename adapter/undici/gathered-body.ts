import type { Readable } from 'node:stream'
import { type GatheringKind, type Reader, rehearse } from './gathering-rehearsal.ts'

/** Undefined until it is known what bodies of this undici do with chunks, or when it is not known. */
let known: GatheringKind | undefined
let rehearsed = false

/** The body that `handler`, behind undici's `request`, has made for its caller, if it may gather. */
export function bodyOf(handler: object): Readable | undefined {
  const { res: body } = handler as { readonly res?: unknown }
  if (typeof body !== 'object' || body === null) return undefined
  if (!rehearsed) {
    rehearsed = true
    rehearse().then(
      (kind) => {
        known = kind
      },
      // Another undici: it is given copies.
      () => undefined
    )
  }
  return known !== undefined && Object.getPrototypeOf(body) === known.prototype
    ? (body as Readable)
    : undefined
}

/**
 * Who reads `body`, from {@link bodyOf}, as a whole, when nobody else reads it: a chunk given to it
 * now is not used any more once it has closed.
 */
export function readerOf(body: Readable): Reader | undefined {
  return known?.readerOf(body)
}
