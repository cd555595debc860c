import type { Headers } from '../../adapter/http1/codec.ts'
import type { TransportLabel } from '../counters.ts'
import type { Exchange } from '../exchange.ts'
import { type Failure, responseFlags } from '../failure.ts'
import type { Span } from '../tracing/span.ts'
import type { LogOrigin } from './origin.ts'
import type { AccessRecord } from './record.ts'

/** Of a request that was read and has ended. Looks up what a format asks for, and nothing else. */
export class ExchangeRecord implements AccessRecord {
  readonly durationMs: number
  readonly #exchange: Exchange

  constructor(exchange: Exchange, durationMs: number) {
    this.#exchange = exchange
    this.durationMs = durationMs
  }

  get origin(): LogOrigin {
    return this.#exchange.forwarding.origin
  }

  get fields(): Headers {
    return this.#exchange.head.headers
  }

  get method(): string {
    return this.#exchange.head.method
  }

  get host(): string {
    return this.#exchange.head.host
  }

  get target(): string {
    return this.#exchange.head.target
  }

  get version(): string {
    return this.#exchange.head.version === 1 ? '1.1' : '1.0'
  }

  get status(): number {
    return this.#exchange.reply.status
  }

  get flags(): string {
    return responseFlags(this.#exchange.failure, this.retries)
  }

  get reason(): string | undefined {
    return this.#exchange.failure?.reason
  }

  get error(): string | undefined {
    return this.#exchange.failure?.message
  }

  get headMs(): number | undefined {
    return this.#exchange.headMs
  }

  get bytesReceived(): number {
    return this.#exchange.upload.received
  }

  get bytesSent(): number {
    return this.#exchange.reply.bytes
  }

  get upstream(): string | undefined {
    return this.#exchange.attempts.endpoint?.label
  }

  get cluster(): string | undefined {
    return this.#exchange.destination?.cluster?.config.name
  }

  get retries(): number {
    return Math.max(0, this.#exchange.attempts.count - 1)
  }

  get transport(): TransportLabel | undefined {
    return this.#exchange.label
  }

  get requestId(): string | undefined {
    return this.#exchange.written?.requestId
  }

  get span(): Span | undefined {
    return this.#exchange.written?.span
  }
}

/** Of what was answered before it could be read as a request. */
export function refusalRecord(origin: LogOrigin, failure: Failure): AccessRecord {
  return {
    origin,
    fields: [],
    method: '',
    host: '',
    target: '',
    version: '',
    status: failure.status,
    flags: responseFlags(failure, 0),
    reason: failure.reason,
    error: failure.message,
    durationMs: 0,
    headMs: undefined,
    bytesReceived: 0,
    bytesSent: 0,
    upstream: undefined,
    cluster: undefined,
    retries: 0,
    transport: undefined,
    requestId: undefined,
    span: undefined
  }
}
