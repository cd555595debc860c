import {
  type BodyObserver,
  CHUNKED_LINE,
  type ClientConnection,
  lengthLine,
  RequestWriter
} from '../http1/index.ts'
import type { AgentRequest } from './request.ts'

/** How long a server is asked whether it wants a body, in milliseconds; as long as curl asks. */
const CONTINUE_TIMEOUT_MS = 1000

const EXPECT = 'expect: 100-continue\r\n'

/**
 * The way of a request to one connection: its head, and its body at once, or (RFC 9110 10.1.1) when
 * the server wants it or has not said so for a second.
 */
export class Sending {
  readonly #connection: ClientConnection
  readonly #request: AgentRequest
  readonly #observer: BodyObserver
  #writer: RequestWriter | undefined
  /** Until the body is sent. */
  #waiting: NodeJS.Timeout | undefined

  /** @param head without framing and without the empty line */
  constructor(
    connection: ClientConnection,
    request: AgentRequest,
    observer: BodyObserver,
    head: string
  ) {
    this.#connection = connection
    this.#request = request
    this.#observer = observer
    if (!request.expectContinue) {
      this.#sendBehind(head)
      return
    }
    connection.write(head + EXPECT + this.#framing, undefined, 'latin1', '')
    this.#waiting = setTimeout(() => this.proceed(), CONTINUE_TIMEOUT_MS).unref()
  }

  /** Sends the body, if it waits: the server wants it, or is not waited for any longer. */
  proceed(): void {
    if (this.#waiting === undefined) return
    this.stop()
    // It broke, and the request goes on another.
    if (this.#connection.gone) return
    this.#sendBehind('')
  }

  /** A body that waits is not sent. */
  stop(): void {
    clearTimeout(this.#waiting)
    this.#waiting = undefined
  }

  /** The connection took all that was written. */
  onDrain(): void {
    this.#writer?.onDrain()
  }

  /** @param head '' when it was sent before, with its framing */
  #sendBehind(head: string): void {
    const connection = this.#connection
    const request = this.#request
    const { content, source } = request.content
    if (source !== undefined) {
      const { announcedLength, expectsBody } = request
      const observer = this.#observer
      this.#writer = new RequestWriter(
        connection,
        observer,
        source,
        head,
        announcedLength,
        expectsBody
      )
      return
    }
    const before = head === '' ? '' : head + this.#framing
    connection.write(before, content, 'utf8', '')
    connection.sent()
    if (content !== undefined) this.#observer.onBodyPart(content)
    this.#observer.onRequestSent()
  }

  /** The last lines of the head. */
  get #framing(): string {
    const { announcedLength: length, content, expectsBody } = this.#request
    if (length === undefined) return content.source === undefined ? '\r\n' : CHUNKED_LINE
    return length === 0 && !expectsBody ? '\r\n' : lengthLine(length)
  }
}
