import { setTimeout as setTimeoutPromise } from 'node:timers/promises'
import type { Logger } from 'pino'
import { ShmError } from '../adapter/errors.ts'
import { Clock } from '../adapter/http1/codec.ts'
import type { SessionReport, ShmSession } from '../adapter/shmipc/index.ts'
import { AccessLog, type LineSink } from './access-log/access-log.ts'
import { Admin } from './admin.ts'
import { bind, portsOf } from './bind.ts'
import { ClusterSet } from './cluster-set.ts'
import type { ListenerConfig, ProxyConfig } from './config/types.ts'
import type { ProxyContext } from './context.ts'
import { Counters } from './counters.ts'
import { Listener } from './listener.ts'
import { Metrics } from './metrics/prometheus.ts'
import type { RequestSeries } from './metrics/request-series.ts'
import { Readiness } from './readiness.ts'
import { checkReloadable, sameAddress } from './reload.ts'
import { type ProxyStatistics, reportStatistics } from './statistics.ts'
import type { Cluster } from './upstream/cluster.ts'
import type { OwnPorts } from './upstream/passthrough-rules.ts'

/** How far past its deadline anything may be noticed, in milliseconds. */
const SWEEP_MS = 50

export interface ProxyLogs {
  readonly log: Logger
  /** Where the access log goes when the configuration turns it on. */
  readonly accessLog: LineSink
}

/** Something bound: a listener by its name, or `admin` or `health`. */
export interface BoundAddress {
  readonly name: string
  /** With the port that was really bound. */
  readonly address: string
}

/** What GET /shm answers: each session, by the listener or cluster it belongs to. */
export interface SharedMemoryReport {
  readonly owner: string
  readonly sessions: readonly SessionReport[]
}

/** A running proxy. Made by {@link createProxy}. */
export class MeshProxy {
  #config: ProxyConfig
  readonly #context: ProxyContext
  #clusters: ClusterSet
  #listeners: readonly Listener[]
  /** Of former configurations, with requests that have not ended. */
  readonly #leaving = new Set<Listener | Cluster>()
  readonly #admins: Admin[] = []
  readonly #metrics = new Metrics(this)
  #readiness: Readiness
  #reloading: Promise<unknown> = Promise.resolve()
  #ready = false
  #drained: Promise<boolean> | undefined
  #drainRequested: (() => void) | undefined

  /** @internal */
  constructor(config: ProxyConfig, logs: ProxyLogs) {
    this.#config = config
    this.#context = {
      log: logs.log,
      accessLog: config.accessLog && new AccessLog(config.accessLog, logs.accessLog),
      tracing: config.tracing,
      counters: new Counters(),
      deadlines: new Clock(SWEEP_MS),
      transportHeader: config.transportHeader,
      draining: false
    }
    this.#clusters = new ClusterSet(config, this.#context, () => this.#ownPorts())
    this.#listeners = config.listeners.map((listener) => this.#createListener(listener))
    this.#readiness = this.#createReadiness()
  }

  /** Accepting, and not about to stop. */
  get ready(): boolean {
    return this.#ready && !this.#context.draining
  }

  /** What GET /ready goes by; empty when there is nothing in the way. */
  async unready(): Promise<string[]> {
    if (this.#context.draining) return ['draining']
    if (!this.#ready) return ['starting']
    const unreachable = await this.#readiness.unreachable()
    return unreachable.map((name) => `cluster ${name} cannot be reached`)
  }

  get config(): ProxyConfig {
    return this.#config
  }

  get addresses(): BoundAddress[] {
    return [...this.#listeners, ...this.#admins].map(({ name, address }) => ({ name, address }))
  }

  statistics(): ProxyStatistics {
    return reportStatistics(this.#context, this.#listeners, this.#clusters.all)
  }

  /** Every metric in Prometheus' text format. */
  metrics(): Promise<string> {
    return this.#metrics.text()
  }

  /** Every shared-memory session with its streams and slices. */
  sharedMemory(): SharedMemoryReport[] {
    const of = (owner: string, sessions: Iterable<ShmSession>) => ({
      owner,
      sessions: [...sessions].map((session) => session.report())
    })
    return [
      ...this.#listeners.map((listener) => of(`listener ${listener.name}`, listener.sessions)),
      ...this.#clusters.all.map((cluster) => of(`cluster ${cluster.config.name}`, cluster.sessions))
    ].filter(({ sessions }) => sessions.length > 0)
  }

  /** @internal For the metrics. */
  get series(): RequestSeries[] {
    return this.#listeners.flatMap((listener) => [...listener.allSeries])
  }

  /** @internal For the metrics. */
  get sessions(): ShmSession[] {
    return [...this.#listeners, ...this.#clusters.all].flatMap(({ sessions }) => [...sessions])
  }

  /** @internal Called by POST /drain: like a SIGTERM, it is for whoever runs the proxy to act on. */
  onDrainRequested(listener: () => void): void {
    this.#drainRequested = listener
  }

  /** @internal */
  requestDrain(): void {
    if (this.#drainRequested !== undefined) this.#drainRequested()
    else void this.drain()
  }

  /** @internal */
  async listen(): Promise<void> {
    try {
      for (const listener of this.#listeners) await bind(listener)
      for (const kind of ['admin', 'health'] as const) {
        const address = this.#config[kind]
        if (address === undefined) continue
        const admin = new Admin(kind, address, this, this.#context.log)
        this.#admins.push(admin)
        await bind(admin)
      }
    } catch (error) {
      this.destroy()
      throw error
    }
    this.#ready = true
  }

  /**
   * Goes on with another configuration: new listeners are bound before old ones end, and what is
   * the same in both stays as it is, connections and sessions included. Requests under way end as
   * they began.
   *
   * @param read the configuration, asked when its turn comes; what it throws counts as a failure
   * @throws {ShmError} saying what is in the way; everything is then as before
   */
  reload(read: () => ProxyConfig): Promise<void> {
    const { reloads } = this.#context.counters
    const reloaded = this.#reloading.then(() => this.#reload(read()))
    this.#reloading = reloaded.then(
      () => reloads.succeeded++,
      () => reloads.failed++
    )
    return reloaded
  }

  /**
   * Not ready any more; after `drainDelay` no new connections either; and every connection ends
   * after its response. Resolves when all is closed: with false when `drainTimeout` passed first,
   * counted from the end of the delay, and what was left was cut off.
   */
  drain(): Promise<boolean> {
    this.#drained ??= this.#drain()
    return this.#drained
  }

  /** Breaks everything that is open. Synchronous: it may be the last thing a process does. */
  destroy(): void {
    this.#context.draining = true
    for (const listener of this.#listeners) listener.destroy()
    for (const cluster of this.#clusters.all) cluster.destroy()
    for (const leaving of this.#leaving) leaving.destroy()
    for (const admin of this.#admins) admin.destroy()
  }

  async #reload(config: ProxyConfig): Promise<void> {
    checkReloadable(this.#config, config)
    const clusters = new ClusterSet(config, this.#context, () => this.#ownPorts(), this.#clusters)
    const find = (name: string) => clusters.find(name)
    const fresh: Listener[] = []
    const listeners = config.listeners.map((next) => {
      const kept = this.#listeners.find((listener) => sameAddress(listener.config, next))
      const listener = kept ?? new Listener(next, this.#context, find)
      if (kept === undefined) fresh.push(listener)
      return listener
    })
    try {
      for (const listener of fresh) await bind(listener)
      if (this.#context.draining) {
        throw new ShmError('SHM_ERR_CONFIG', 'the proxy is shutting down')
      }
    } catch (error) {
      for (const listener of fresh) listener.destroy()
      for (const cluster of clusters.without(this.#clusters)) cluster.destroy()
      throw error
    }
    this.#replace(config, clusters, listeners)
  }

  /** One step: every request is routed by the one configuration or by the other. */
  #replace(config: ProxyConfig, clusters: ClusterSet, listeners: readonly Listener[]): void {
    for (const [index, listener] of listeners.entries()) {
      const next = config.listeners[index] as ListenerConfig
      if (this.#listeners.includes(listener)) listener.update(next, (name) => clusters.find(name))
    }
    const oldListeners = this.#listeners.filter((listener) => !listeners.includes(listener))
    const oldClusters = this.#clusters.without(clusters)
    this.#config = config
    this.#context.tracing = config.tracing
    this.#context.transportHeader = config.transportHeader
    this.#clusters = clusters
    this.#listeners = listeners
    this.#readiness = this.#createReadiness()
    for (const listener of oldListeners) this.#letGoOfListener(listener)
    for (const cluster of oldClusters) this.#letGoOfCluster(cluster)
  }

  #letGoOfListener(listener: Listener): void {
    this.#leaving.add(listener)
    const timer = setTimeout(() => listener.destroy(), this.#config.drainTimeoutMs)
    void listener.drain().then(() => {
      clearTimeout(timer)
      this.#leaving.delete(listener)
    })
  }

  #letGoOfCluster(cluster: Cluster): void {
    this.#leaving.add(cluster)
    cluster.load.whenIdle(() => {
      this.#leaving.delete(cluster)
      cluster.destroy()
    })
  }

  async #drain(): Promise<boolean> {
    this.#context.draining = true
    // Until it is known everywhere that we are not ready, requests still come.
    if (this.#config.drainDelayMs > 0) await setTimeoutPromise(this.#config.drainDelayMs)
    let timer: NodeJS.Timeout | undefined
    const deadline = new Promise<false>((resolve) => {
      timer = setTimeout(() => resolve(false), this.#config.drainTimeoutMs)
    })
    await this.#reloading
    const leaving = [...this.#leaving].filter((left) => left instanceof Listener)
    const listeners = [...this.#listeners, ...leaving]
    const drained = Promise.all(listeners.map((listener) => listener.drain()))
    const inTime = await Promise.race([drained.then(() => true), deadline])
    clearTimeout(timer)
    this.destroy()
    await drained
    return inTime
  }

  #ownPorts(): OwnPorts {
    const looping = this.#listeners.filter((listener) => listener.passesThrough)
    return { admin: portsOf(this.#admins), looping: portsOf(looping) }
  }

  #createListener(config: ListenerConfig): Listener {
    return new Listener(config, this.#context, (name) => this.#clusters.find(name))
  }

  #createReadiness(): Readiness {
    return new Readiness(this.#config.readyClusters.map((name) => this.#clusters.find(name)))
  }
}

/**
 * Starts a proxy: every listener, and the admin and health servers, are bound when it resolves.
 *
 * @throws {ShmError} naming the listener and what is in its way; nothing is left bound then
 */
export async function createProxy(config: ProxyConfig, logs: ProxyLogs): Promise<MeshProxy> {
  const proxy = new MeshProxy(config, logs)
  await proxy.listen()
  return proxy
}
