/** The response a client gets: an upstream's, reframed for this client, or one of our own. */
import { STATUS_CODES } from 'node:http'
import {
  type Framing,
  type Headers,
  LAST_CHUNK,
  type RequestHead,
  type ResponseHead,
  writeResponseHead,
  writeTrailers
} from '../adapter/http1/codec.ts'
import type { Lease } from '../adapter/shmipc/index.ts'
import type { TransportLabel } from './counters.ts'
import type { DirectAnswer } from './destination.ts'
import type { Failure } from './failure.ts'
import { trailerFields } from './headers/hop-by-hop.ts'
import { responseHeaders } from './headers/response.ts'
import type { ResponseWriter } from './headers/response-writer.ts'
import type { Outgoing } from './wire/outgoing.ts'

const CHUNKED: Framing = { kind: 'chunked' }
const CLOSE: Framing = { kind: 'close' }

export class Reply {
  /** The final head has been written. */
  started = false
  /** The last byte has been written. */
  done = false
  /** The connection ends with this response. */
  closes: boolean
  /** An interim 100 told the client to send its body. */
  continued = false
  status = 0
  /** Body bytes written, without framing. */
  bytes = 0
  readonly #request: RequestHead
  readonly #out: Outgoing
  readonly #via: boolean
  #framing: Framing = CLOSE

  /** @param via whether Via names this proxy */
  constructor(request: RequestHead, out: Outgoing, via: boolean) {
    this.#request = request
    this.#out = out
    this.#via = via
    this.closes = !request.keepAlive
  }

  /** Its end is not the end of the connection. */
  get delimited(): boolean {
    return this.#framing.kind === 'length' || this.#framing.kind === 'chunked'
  }

  /** A 1xx head other than 101. HTTP/1.0 clients do not know them (RFC 9110 15.2). */
  interim(head: ResponseHead): void {
    if (this.#request.version === 0) return
    if (head.status === 100) this.continued = true
    const { headers } = responseHeaders(head, head.framing, undefined, this.#via)
    this.#out.text(writeResponseHead(head.status, head.reason, headers))
  }

  /** Returns the upstream's Keep-Alive value. */
  head(head: ResponseHead, transport: TransportLabel | undefined, writer: ResponseWriter): string {
    this.started = true
    this.status = head.status
    const framing = this.#frame(head.framing)
    this.#framing = framing
    const connection = this.#connection(head.status)
    this.#out.text(writer.write(head, { framing, transport, via: this.#via, connection }))
    return writer.keepAlive
  }

  /** @param lease of the shared memory `chunk` is a view of */
  body(chunk: Buffer, lease: Lease | undefined): void {
    this.bytes += chunk.length
    if (this.#framing.kind === 'chunked') this.#out.chunked(chunk, lease)
    else this.#out.data(chunk, lease)
  }

  end(trailers: Headers): void {
    this.done = true
    if (this.#framing.kind !== 'chunked') return
    const fields = trailerFields(trailers)
    this.#out.text(fields.length === 0 ? LAST_CHUNK : writeTrailers(fields))
  }

  /** Answers in the upstream's place. Nothing of a final response may have been written. */
  answer(answer: DirectAnswer): void {
    const { status } = answer
    this.started = true
    this.done = true
    this.status = status
    const headers = answerHeaders(answer)
    const connection = this.#connection(status)
    if (connection !== '') headers.push('Connection', connection)
    const body = this.#request.method === 'HEAD' ? '' : answer.body
    this.bytes = body.length
    this.#out.text(writeResponseHead(status, phrase(status), headers) + body)
  }

  /** The body's end must be known without the connection's, unless the client is too old for that. */
  #frame(framing: Framing): Framing {
    if (framing.kind !== 'close' && framing.kind !== 'chunked') return framing
    if (this.#request.version === 1) return CHUNKED
    this.closes = true
    return CLOSE
  }

  /** The value of the client's Connection field; empty for none. */
  #connection(status: number): string {
    if (status === 101) return 'Upgrade'
    if (status === 426) return this.closes ? 'close, Upgrade' : 'Upgrade'
    if (this.closes) return 'close'
    return this.#request.version === 0 ? 'keep-alive' : ''
  }
}

/** A whole response to what could not be read as a request; the connection must then be closed. */
export function refusal(failure: Failure): string {
  const answer = failureAnswer(failure)
  const headers = [...answerHeaders(answer), 'Connection', 'close']
  return writeResponseHead(answer.status, phrase(answer.status), headers) + answer.body
}

export function failureAnswer({ status, reason, message }: Failure): DirectAnswer {
  return {
    status,
    headers: ['Content-Type', 'text/plain; charset=utf-8', 'X-Shmesh-Reason', reason],
    // Written as Latin-1: a message may quote a path in another script.
    body: `${Buffer.from(message).toString('latin1')}\n`
  }
}

function answerHeaders({ status, headers, body }: DirectAnswer): Headers {
  const all = ['Date', new Date().toUTCString(), ...headers]
  // RFC 9110 8.6: not with 204; a 304 would state the length of a 200.
  if (status !== 204 && status !== 304) all.push('Content-Length', String(body.length))
  return all
}

function phrase(status: number): string {
  return STATUS_CODES[status] ?? ''
}
