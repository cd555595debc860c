import type { TransportLabel } from '../counters.ts'

/** What is known of a request that has ended. */
export interface AccessRecord {
  readonly listener: string
  /** IP address; empty when the client came over a Unix socket or shared memory. */
  readonly client: string
  /** Empty when the request could not be read; so are the other parts of its head. */
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
  readonly traceId: string | undefined
  readonly spanId: string | undefined
  readonly parentId: string | undefined
  readonly userAgent: string | undefined
  readonly referer: string | undefined
}
