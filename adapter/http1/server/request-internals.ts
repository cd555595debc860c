import { IncomingMessage } from 'node:http'
import type { Headers } from '../message.ts'

/** Of `IncomingMessage`, as node:http's own parser uses it. */
interface Internals {
  joinDuplicateHeaders: boolean
  _addHeaderLines(fields: Headers, length: number): void
  _dump(): void
}

interface ReadableState {
  dataEmitted: boolean
  autoDestroy: boolean
  ended: boolean
  endEmitted: boolean
  destroyed: boolean
  closed: boolean
  closeEmitted: boolean
}

export function internals(request: IncomingMessage): Internals {
  return request as unknown as Internals
}

export function state(request: IncomingMessage): ReadableState {
  return (request as unknown as { _readableState: ReadableState })._readableState
}

/** Of Node 24 on. */
const DETACH_SIGNAL = Object.getOwnPropertySymbols(IncomingMessage.prototype).find(
  ({ description }) => description === 'kDetachAbortSignal'
)

/** The response has left: the end of the connection does not abort `request.signal` any more. */
export function detachSignal(request: IncomingMessage): void {
  if (DETACH_SIGNAL === undefined) return
  ;(request as unknown as Record<symbol, () => void>)[DETACH_SIGNAL]?.()
}

/** Read, closed, and seen by nobody: what `resume()` and `destroy()` come to, at a tenth of it. */
export function markClosed(request: IncomingMessage): void {
  const readable = state(request)
  readable.ended = true
  readable.endEmitted = true
  readable.destroyed = true
  readable.closed = true
  readable.closeEmitted = true
}
