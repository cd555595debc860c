import type { Headers, RequestHead, ResponseHead } from '../adapter/http1/codec.ts'
import type { Downstream } from './downstream.ts'
import { RequestBody } from './request-body.ts'
import type { UpstreamConnection } from './upstream/connection.ts'
import { ChannelWire } from './wire/channel-wire.ts'
import { DirectBody } from './wire/direct-body.ts'
import type { Outgoing } from './wire/outgoing.ts'
import { SocketWire } from './wire/socket-wire.ts'

/** How much of a request body is read and thrown away so that its connection can be kept. */
const MAX_DISCARDED_BYTES = 256 * 1024
const MAX_DISCARD_MS = 2000
/** Who answers a request that is not there yet with more than this may be reading it meanwhile. */
const MAX_REFUSAL_BYTES = 64 * 1024

/**
 * The way of a request's body from the client: through memory of ours to the upstream's connection,
 * straight from the one to the other, or, once the request is answered, nowhere.
 */
export class Upload {
  /** Body bytes that have come from the client. */
  received = 0
  readonly #downstream: Downstream
  readonly #head: RequestHead
  readonly #body: RequestBody
  #direct: DirectBody | undefined
  /** It has waited in vain for a slice and does so only once. */
  #impatient = false
  #discarded = 0
  /** As performance.now() counts. */
  #discardUntil = 0

  /** @param keptBytes how much of the body is kept to be sent once more */
  constructor(downstream: Downstream, head: RequestHead, keptBytes: number) {
    this.#downstream = downstream
    this.#head = head
    this.#body = new RequestBody(head.framing.kind === 'chunked', keptBytes)
  }

  /** The whole request has come from the client. */
  get complete(): boolean {
    return this.#body.complete
  }

  /**
   * For some ms there is no memory for what the client sends: it must not be read. Nor is anything
   * sent, a head least of all: what the app makes of that would wait, too.
   */
  get waits(): boolean {
    return this.#direct?.waits === true
  }

  /** Everything that came so far can be sent again. */
  get replayable(): boolean {
    return this.#body.replayable
  }

  /** Reading the rest of the request would cost more than a new connection. */
  isLarge(withheld: boolean): boolean {
    if (this.#body.complete) return false
    const { framing } = this.#head
    // What follows a CONNECT is no request, whatever it is answered (RFC 9110 9.3.6).
    if (framing.kind === 'none') return this.#head.method === 'CONNECT'
    if (framing.kind !== 'length' || withheld) return true
    return framing.length - this.received > MAX_DISCARDED_BYTES
  }

  /** Of so large a body nobody will read the rest: it has a short answer already. */
  isRefusedBy({ framing }: ResponseHead): boolean {
    const bytes = framing.kind === 'length' ? framing.length : 0
    const short = framing.kind === 'none' || framing.kind === 'length'
    return short && bytes <= MAX_REFUSAL_BYTES && this.isLarge(false)
  }

  /**
   * @param chunk valid during the call
   * @param to where it goes at once; `undefined` while there is no connection
   */
  add(chunk: Buffer, to: UpstreamConnection | undefined): void {
    this.received += chunk.length
    if (to === undefined) {
      this.#body.add(chunk, undefined)
      return
    }
    const rest = this.#direct?.resumes === true ? this.#direct.resume(chunk) : chunk
    if (rest.length > 0 && !this.#goesDirect(rest, to)) this.#body.add(rest, to.out)
  }

  /** So much of the body went from the client's socket straight to the upstream. */
  passed(bytes: number): void {
    this.received += bytes
  }

  end(trailers: Headers, to: UpstreamConnection | undefined): void {
    this.#body.end(trailers, to?.out)
  }

  /** Sends everything that came so far, the first time or once more. */
  sendAll(out: Outgoing): void {
    this.#body.sendAll(out)
  }

  /** What has been sent will not be sent again. */
  forget(): void {
    this.#body.forget()
  }

  /** After the upstream's connection has been given up: what was read for it goes nowhere. */
  endDirect(): void {
    const unsent = this.#direct?.end()
    this.#direct = undefined
    if (unsent !== undefined) this.#body.add(unsent, undefined)
  }

  /** The request has been answered: what still comes of it is only read. */
  answered(now: number): void {
    if (!this.#body.complete) this.#discardUntil = now + MAX_DISCARD_MS
  }

  discard(chunk: Buffer): void {
    this.received += chunk.length
    this.#discarded += chunk.length
    if (this.#discarded > MAX_DISCARDED_BYTES) this.#downstream.close()
  }

  /** After {@link answered}. */
  sweep(now: number): void {
    if (!this.#body.complete && now > this.#discardUntil) this.#downstream.close()
  }

  /** Reads the rest of the body, of which `chunk` is a part, straight into shared memory. */
  #goesDirect(chunk: Buffer, connection: UpstreamConnection): boolean {
    const downstream = this.#downstream
    const to = connection.wire
    if (!(to instanceof ChannelWire) || !(downstream.wire instanceof SocketWire)) return false
    if (this.#body.keeps || !downstream.wire.mayReadInto) return false
    this.#impatient ||= this.#direct?.gaveUp === true
    const begin = () => {
      connection.out.flush()
      this.#body.passed()
    }
    const waited = this.#impatient ? undefined : begin
    this.#direct = DirectBody.begin(downstream, downstream.wire, to, chunk, waited)
    if (this.#direct === undefined) return false
    if (!this.#direct.waits) begin()
    return true
  }
}
