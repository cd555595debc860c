import type { KnownFields } from './known-fields.ts'
import { type Limits, resolveLimits } from './limits.ts'
import type { MessageHandler, RequestHead } from './message.ts'
import { MessageReader } from './message-reader.ts'
import { RequestHeadParser } from './request-head.ts'

/**
 * Reads requests one after another. `feed` stops behind each; `reset` lets the next one begin.
 * A CONNECT request ends with its head: the bytes behind it stay with the caller.
 */
export class RequestReader extends MessageReader<RequestHead> {
  /** @param known shared with other readers of requests; default: one of its own */
  constructor(handler: MessageHandler<RequestHead>, limits?: Limits, known?: KnownFields) {
    const resolved = resolveLimits(limits)
    super(handler, new RequestHeadParser(resolved, known), resolved)
  }
}
