import { InvalidArgumentError } from '../errors.ts'
import type { KnownFields } from './known-fields.ts'
import { type Limits, resolveLimits } from './limits.ts'
import type { MessageHandler, ResponseHead } from './message.ts'
import { MessageReader } from './message-reader.ts'
import { ResponseHeadParser } from './response-head.ts'

export interface ExpectOptions {
  /**
   * The protocols the request offered in Upgrade (the field's value), or true for any. Without it
   * 101 is an error. Default: none.
   */
  readonly upgrade?: string | boolean | undefined
}

/**
 * Reads responses one after another, each announced by `expect`; bytes nobody expects are an error.
 * Interim heads (1xx but 101) come through `onHead` without `onEnd`, then the final head follows.
 */
export class ResponseReader extends MessageReader<ResponseHead> {
  readonly #head: ResponseHeadParser

  /** @param known shared with other readers of responses; default: one of its own */
  constructor(handler: MessageHandler<ResponseHead>, limits?: Limits, known?: KnownFields) {
    const resolved = resolveLimits(limits)
    const head = new ResponseHeadParser(resolved, known)
    super(handler, head, resolved)
    this.#head = head
  }

  /**
   * Makes ready for the response to a request with this method: it decides whether a body follows.
   * Call it before each response, when the one before has ended; it includes `reset`.
   */
  expect(method: string, options: ExpectOptions = {}): void {
    if (typeof method !== 'string' || method === '') {
      throw new InvalidArgumentError('method', 'the method of the request', method)
    }
    this.reset()
    this.#head.expect(method, options.upgrade ?? false)
  }

  override reset(): void {
    this.#head.interim = false
    super.reset()
  }
}
