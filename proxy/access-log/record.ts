import type { Headers } from '../../adapter/http1/codec.ts'
import type { TransportLabel } from '../counters.ts'
import type { Span } from '../tracing/span.ts'
import type { LogOrigin } from './origin.ts'

/** What is known of a request that has ended. */
export interface AccessRecord {
  readonly origin: LogOrigin
  /** Of the request's head; empty when it could not be read. */
  readonly fields: Headers
  /** Empty when the request could not be read; so are host, target and version. */
  readonly method: string
  readonly host: string
  readonly target: string
  readonly version: string
  /** 0 when no response was sent. */
  readonly status: number
  /** Why it did not go as it should, in short: `UF`, `UF,URX`; empty when it did. */
  readonly flags: string
  readonly reason: string | undefined
  readonly error: string | undefined
  /** From the head of the request to the end of the response, milliseconds. */
  readonly durationMs: number
  /** From the head of the request to the head of the response; `undefined` when there was none. */
  readonly headMs: number | undefined
  /** Body bytes from the client, and to it. */
  readonly bytesReceived: number
  readonly bytesSent: number
  /** The endpoint asked last. */
  readonly upstream: string | undefined
  readonly cluster: string | undefined
  /** Attempts after the first. */
  readonly retries: number
  readonly transport: TransportLabel | undefined
  readonly requestId: string | undefined
  /** `undefined` without tracing. */
  readonly span: Span | undefined
}
