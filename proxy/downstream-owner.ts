import type { KnownFields, RequestHead } from '../adapter/http1/codec.ts'
import type { ProxyContext } from './context.ts'
import type { Destination } from './destination.ts'
import type { Downstream } from './downstream.ts'
import type { Failure } from './failure.ts'
import type { HopOptions } from './headers/request.ts'
import type { RequestSeries } from './metrics/request-series.ts'
import type { Cluster } from './upstream/cluster.ts'

/** What a connection needs to know of the listener that accepted it. */
export interface DownstreamOwner {
  readonly context: ProxyContext
  /** Of the requests of all its connections. */
  readonly known: KnownFields
  readonly headTimeoutMs: number
  readonly bodyTimeoutMs: number
  /** From the head of a request to its end; 0 is no limit. */
  readonly requestTimeoutMs: number
  readonly idleTimeoutMs: number
  /** Of a tunnel without a byte; 0 is no limit. */
  readonly tunnelTimeoutMs: number
  readonly hop: HopOptions
  /** Every response closes its connection. */
  readonly draining: boolean
  /** Whether a client at this address is believed about whom it speaks for. */
  trusts(remoteAddress: string): boolean
  /** The request as it is routed, logged and sent on. */
  normalize(head: RequestHead): RequestHead
  /** What becomes of a request, or why nothing does. */
  route(head: RequestHead): Destination | Failure
  /** What counts requests to `cluster`, or those that go nowhere. */
  series(cluster: Cluster | undefined): RequestSeries
  /** A request was answered before it could be read as one. */
  refused(downstream: Downstream, failure: Failure): void
  /** Called once, when the connection is gone. */
  closed(downstream: Downstream): void
}
