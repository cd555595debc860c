/** One configured address: what arrives there becomes downstream connections. */
import { KnownFields, type RequestHead } from '../adapter/http1/codec.ts'
import type { ShmSession } from '../adapter/shmipc/index.ts'
import { refusalRecord } from './access-log/exchange-record.ts'
import { type Binding, bindListener } from './bind-listener.ts'
import { trustRule } from './config/trust.ts'
import { type ListenerConfig, PASSTHROUGH, type RouteConfig } from './config/types.ts'
import type { ProxyContext } from './context.ts'
import type { Destination } from './destination.ts'
import { Downstream } from './downstream.ts'
import type { DownstreamOwner } from './downstream-owner.ts'
import { type Failure, failures } from './failure.ts'
import type { HopOptions } from './headers/request.ts'
import { RequestSeries } from './metrics/request-series.ts'
import { normalizeTarget } from './normalize-target.ts'
import { RouteTable } from './routes.ts'
import type { Cluster } from './upstream/cluster.ts'
import type { Attach } from './upstream/connect.ts'

export class Listener implements DownstreamOwner {
  readonly context: ProxyContext
  readonly known: KnownFields = new KnownFields()
  headTimeoutMs = 0
  bodyTimeoutMs = 0
  requestTimeoutMs = 0
  idleTimeoutMs = 0
  tunnelTimeoutMs = 0
  trusts: (remoteAddress: string) => boolean = () => false
  /** Connections accepted so far. */
  accepted = 0
  #config: ListenerConfig
  #routes: RouteTable
  readonly #connections = new Set<Downstream>()
  /** By the name of the cluster, which a new cluster may take over. */
  readonly #series = new Map<string, RequestSeries>()
  readonly #seriesOf = new Map<Cluster | undefined, RequestSeries>()
  #draining = false
  #drained: Promise<void> | undefined
  #binding: Binding | undefined
  #hop: HopOptions | undefined
  #emptied: (() => void) | undefined

  constructor(
    config: ListenerConfig,
    context: ProxyContext,
    findCluster: (name: string) => Cluster
  ) {
    this.context = context
    this.#config = config
    this.#routes = new RouteTable(config.routes, config.direction, findCluster)
    this.#apply(config)
  }

  /** Goes on, where it is bound, as `config` says. Connections there are keep what they trust. */
  update(config: ListenerConfig, findCluster: (name: string) => Cluster): void {
    this.#config = config
    this.#routes = new RouteTable(config.routes, config.direction, findCluster)
    this.#hop = undefined
    this.#seriesOf.clear()
    this.#apply(config)
  }

  get config(): ListenerConfig {
    return this.#config
  }

  get draining(): boolean {
    return this.#draining || this.context.draining
  }

  get name(): string {
    return this.#config.name
  }

  /** Empty until {@link listen} has resolved. */
  get address(): string {
    return this.#binding?.address ?? ''
  }

  /** It has a route to wherever a request wants to go. */
  get passesThrough(): boolean {
    return this.#config.routes.some((route) => leadsTo(route, PASSTHROUGH))
  }

  get connections(): number {
    return this.#connections.size
  }

  /** Shared-memory sessions clients have with it. */
  get sessions(): Iterable<ShmSession> {
    return this.#binding?.sessions ?? []
  }

  get allSeries(): Iterable<RequestSeries> {
    return this.#series.values()
  }

  /** Made when the first connection comes: only then the port is known. */
  get hop(): HopOptions {
    const { name, via, forwarded, address } = this.#config
    this.#hop ??= {
      listener: name,
      via,
      forwarded,
      port: address.kind === 'http' ? new URL(this.address).port || '80' : '',
      tracing: this.context.tracing
    }
    return this.#hop
  }

  normalize(head: RequestHead): RequestHead {
    if (!this.#config.normalizePath) return head
    return { ...head, target: normalizeTarget(head.method, head.target) }
  }

  series(cluster: Cluster | undefined): RequestSeries {
    const known = this.#seriesOf.get(cluster)
    if (known !== undefined) return known
    const to = cluster?.config.name ?? ''
    const series = this.#series.get(to) ?? this.#createSeries(to)
    this.#series.set(to, series)
    this.#seriesOf.set(cluster, series)
    return series
  }

  #createSeries(to: string): RequestSeries {
    const { name, direction, routes } = this.#config
    const hosts = new Set(
      routes.filter((route) => leadsTo(route, to)).map(({ match }) => match.host)
    )
    const [authority = '*', ...others] = hosts
    return new RequestSeries({
      direction,
      listener: name,
      cluster: to,
      authority: others.length === 0 ? authority : '*'
    })
  }

  refused(downstream: Downstream, failure: Failure): void {
    const { counters, accessLog } = this.context
    counters.refused(failure)
    const series = this.series(undefined)
    series.begun()
    series.ended(failure.status, true, 0)
    accessLog?.write(refusalRecord(downstream.forwarding.origin, failure))
  }

  /** @throws the system's error, or a `ShmError`; nothing is bound then */
  async listen(): Promise<void> {
    this.#binding = await bindListener(
      this.#config,
      (attach) => this.#accept(attach),
      this.context.log
    )
  }

  route(head: RequestHead): Destination | Failure {
    if (head.method === 'CONNECT') return failures.connectRefused()
    const { target } = head
    if (target.charCodeAt(0) !== 0x2f && /^https:/i.test(target)) return failures.tlsTarget()
    return this.#routes.find(head)
  }

  closed(downstream: Downstream): void {
    this.#connections.delete(downstream)
    if (this.#connections.size === 0) this.#emptied?.()
  }

  /** Stops accepting and lets every connection end after the response it is in, or may begin. */
  drain(): Promise<void> {
    this.#drained ??= this.#drain()
    return this.#drained
  }

  async #drain(): Promise<void> {
    this.#draining = true
    await this.#binding?.stop()
    for (const connection of this.#connections) connection.drain()
    if (this.#connections.size > 0) {
      await new Promise<void>((resolve) => {
        this.#emptied = resolve
      })
    }
    await this.#binding?.delivered()
    this.#binding?.destroy()
  }

  /** Stops accepting and breaks every connection. */
  destroy(): void {
    void this.#binding?.stop()
    for (const connection of [...this.#connections]) connection.cutOff()
    this.#binding?.destroy()
  }

  #apply(config: ListenerConfig): void {
    this.headTimeoutMs = config.headTimeoutMs
    this.bodyTimeoutMs = config.bodyTimeoutMs
    this.requestTimeoutMs = config.requestTimeoutMs
    this.idleTimeoutMs = config.idleTimeoutMs
    this.tunnelTimeoutMs = config.tunnelTimeoutMs
    this.trusts = trustRule(config.trustForwarded)
  }

  #accept(attach: Attach): void {
    this.accepted++
    const downstream = new Downstream(attach, this)
    this.#connections.add(downstream)
    downstream.wire.resume()
  }
}

function leadsTo({ action }: RouteConfig, cluster: string): boolean {
  return action.kind === 'forward' && action.clusters.some(({ name }) => name === cluster)
}
