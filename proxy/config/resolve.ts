/** From a document that fits the schema to the configuration the proxy runs on. */
import { InvalidArgumentError } from '../../adapter/errors.ts'
import { parseDuration, parseMemory, parseSize } from '../../adapter/options.ts'
import { checkFormat } from '../access-log/format.ts'
import { type Address, type AddressUse, parseAddress } from './address.ts'
import { type ConfigPath, type ConfigProblem, formatPath } from './problem.ts'
import type {
  AccessLogDocument,
  ClusterDocument,
  ConfigDocument,
  EndpointDocument,
  ListenerDocument
} from './schema.ts'
import { parseShare } from './share.ts'
import { didYouMean } from './suggest.ts'
import { isNetwork } from './trust.ts'
import type {
  AccessLogConfig,
  ClusterConfig,
  EndpointConfig,
  ListenerConfig,
  ProxyConfig,
  RouteConfig
} from './types.ts'

/** The cluster a route may name without defining it: the host the request itself asks for. */
export const PASSTHROUGH = 'passthrough'

/** Resolves one document. {@link Resolver.problems} tells whether the result may be used. */
export class Resolver {
  readonly problems: ConfigProblem[] = []

  resolve(document: ConfigDocument): ProxyConfig {
    this.#refuseDuplicates('listeners', document.listeners)
    this.#refuseDuplicates('clusters', document.clusters)
    const reserved = document.clusters.findIndex((cluster) => cluster.name === PASSTHROUGH)
    if (reserved !== -1) {
      this.#problem(['clusters', reserved, 'name'], `"${PASSTHROUGH}" is built in: rename it`)
    }
    const clusterNames = [...document.clusters.map((cluster) => cluster.name), PASSTHROUGH]
    return {
      admin: this.#optionalAddress('admin', document.admin),
      health: this.#optionalAddress('health', document.health),
      accessLog: this.#accessLog(document.accessLog ?? false),
      tracing: this.#tracing(document.tracing ?? false),
      transportHeader: document.transportHeader ?? false,
      drainTimeoutMs: this.#duration(['drainTimeout'], document.drainTimeout ?? '10s'),
      drainDelayMs: this.#duration(['drainDelay'], document.drainDelay ?? '0s'),
      readyClusters: this.#readyClusters(document),
      listeners: document.listeners.map((listener, index) =>
        this.#listener(['listeners', index], listener, clusterNames)
      ),
      clusters: document.clusters.map((cluster, index) =>
        this.#cluster(['clusters', index], cluster)
      )
    }
  }

  #listener(path: ConfigPath, listener: ListenerDocument, clusters: string[]): ListenerConfig {
    const address = this.#address([...path, 'address'], listener.address, 'listener')
    if (address.kind === 'http') {
      for (const key of ['mode', 'group', 'takeover'] as const) {
        if (listener[key] === undefined) continue
        this.#problem([...path, key], 'is for unix:// and shm:// listeners')
      }
    }
    const direction = listener.direction ?? (address.kind === 'http' ? 'inbound' : 'outbound')
    const timeouts = listener.timeouts ?? {}
    const duration = (key: keyof typeof timeouts, fallback: string) =>
      this.#positive([...path, 'timeouts', key], timeouts[key] ?? fallback)
    return {
      name: listener.name,
      address,
      routes: listener.routes.map((route, index): RouteConfig => {
        const at = [...path, 'routes', index]
        if (!clusters.includes(route.cluster)) {
          const hint = didYouMean(route.cluster, clusters)
          this.#problem([...at, 'cluster'], `there is no cluster "${route.cluster}"${hint}`)
        }
        return {
          prefix: route.match?.prefix ?? '/',
          host: this.#host([...at, 'match', 'host'], route.match?.host ?? '*'),
          cluster: route.cluster
        }
      }),
      direction,
      trustForwarded: this.#trust(path, listener, direction === 'outbound'),
      forwarded: listener.forwarded ?? false,
      via: listener.via ?? true,
      normalizePath: listener.normalizePath ?? false,
      mode: typeof listener.mode === 'string' ? Number.parseInt(listener.mode, 8) : listener.mode,
      group: listener.group,
      takeover: listener.takeover ?? false,
      headTimeoutMs: duration('head', '60s'),
      bodyTimeoutMs: duration('body', '60s'),
      idleTimeoutMs: duration('idle', '75s')
    }
  }

  #cluster(path: ConfigPath, cluster: ClusterDocument): ClusterConfig {
    const timeouts = cluster.timeouts ?? {}
    const positive = (key: keyof typeof timeouts, fallback: string) =>
      this.#positive([...path, 'timeouts', key], timeouts[key] ?? fallback)
    const optional = (key: keyof typeof timeouts) =>
      this.#duration([...path, 'timeouts', key], timeouts[key] ?? '0ms')
    return {
      name: cluster.name,
      endpoints: cluster.endpoints.map((endpoint, index) =>
        this.#endpoint([...path, 'endpoints', index], endpoint)
      ),
      connectTimeoutMs: positive('connect', '1s'),
      queueTimeoutMs: positive('queue', '5s'),
      headTimeoutMs: optional('head'),
      requestTimeoutMs: optional('request'),
      idleTimeoutMs: positive('idle', '30s'),
      retries: cluster.retries ?? 2,
      retryBufferBytes: this.#try([...path, 'retryBufferLimit'], 0, (option) =>
        parseSize(option, cluster.retryBufferLimit ?? '2MiB')
      ),
      connections: cluster.connections ?? 1024,
      pending: cluster.pending ?? 1024
    }
  }

  #endpoint(path: ConfigPath, endpoint: EndpointDocument): EndpointConfig {
    const address = this.#address([...path, 'address'], endpoint.address, 'endpoint')
    if (endpoint.memory !== undefined && address.kind !== 'shm') {
      this.#problem([...path, 'memory'], 'is for shm:// endpoints')
    }
    this.#try([...path, 'memory'], 0, (option) => parseMemory(option, endpoint.memory))
    return { address, memory: endpoint.memory }
  }

  #accessLog(document: boolean | AccessLogDocument): AccessLogConfig | undefined {
    if (document === false) return undefined
    const { format = 'json', file, sample = '100%' } = document === true ? {} : document
    return {
      format: this.#try(['accessLog', 'format'], 'json', (option) => checkFormat(option, format)),
      file,
      sample: this.#try(['accessLog', 'sample'], 1, (option) => parseShare(option, sample))
    }
  }

  #tracing(document: boolean | { readonly sample?: string }): ProxyConfig['tracing'] {
    if (document === false) return undefined
    const { sample = '100%' } = document === true ? {} : document
    return { sample: this.#try(['tracing', 'sample'], 1, (option) => parseShare(option, sample)) }
  }

  #readyClusters({ readyClusters = [], clusters }: ConfigDocument): readonly string[] {
    const names = clusters.map((cluster) => cluster.name)
    for (const [index, name] of readyClusters.entries()) {
      if (names.includes(name)) continue
      const hint = didYouMean(name, names)
      this.#problem(['readyClusters', index], `there is no cluster "${name}"${hint}`)
    }
    return readyClusters
  }

  #trust(
    path: ConfigPath,
    { trustForwarded }: ListenerDocument,
    fallback: boolean
  ): boolean | readonly string[] {
    if (!Array.isArray(trustForwarded)) return (trustForwarded as boolean | undefined) ?? fallback
    for (const [index, network] of trustForwarded.entries()) {
      if (isNetwork(network)) continue
      const at = [...path, 'trustForwarded', index]
      this.#problem(at, `"${network}" must be an IP address or a network such as 10.0.0.0/8`)
    }
    return trustForwarded
  }

  #host(path: ConfigPath, host: string): string {
    const lower = host.toLowerCase()
    if (lower !== '*' && lower.lastIndexOf('*') > (lower.startsWith('*.') ? 0 : -1)) {
      this.#problem(path, `"${host}" must be a host, "*.suffix" or "*"`)
    }
    if (/[\s/:]/.test(lower.replace(/^\[[0-9a-f:.]+\]$/, ''))) {
      this.#problem(path, `"${host}" must be a host without scheme, port or path`)
    }
    return lower
  }

  #refuseDuplicates(list: string, entries: readonly { readonly name: string }[]): void {
    const seen = new Map<string, number>()
    for (const [index, { name }] of entries.entries()) {
      const first = seen.get(name)
      if (first === undefined) seen.set(name, index)
      else this.#problem([list, index, 'name'], `"${name}" is already ${list}[${first}]'s name`)
    }
  }

  #optionalAddress(key: string, text: string | undefined): Address | undefined {
    return text === undefined ? undefined : this.#address([key], text, 'admin')
  }

  #address(path: ConfigPath, text: string, use: AddressUse): Address {
    const none: Address = { kind: 'http', text, host: '', port: 0 }
    return this.#try(path, none, (option) => parseAddress(option, text, use))
  }

  #duration(path: ConfigPath, text: string): number {
    return this.#try(path, 0, (option) => parseDuration(option, text))
  }

  #positive(path: ConfigPath, text: string): number {
    return this.#try(path, 0, (option) => {
      const milliseconds = parseDuration(option, text)
      if (milliseconds > 0) return milliseconds
      throw new InvalidArgumentError(option, 'longer than 0', text)
    })
  }

  /** `fallback` stands in for a value that was refused, so that the rest is checked as well. */
  #try<T>(path: ConfigPath, fallback: T, read: (option: string) => T): T {
    try {
      return read(formatPath(path))
    } catch (error) {
      this.problems.push({ path, message: (error as Error).message })
      return fallback
    }
  }

  #problem(path: ConfigPath, message: string): void {
    this.problems.push({ path, message: `${formatPath(path)}: ${message}` })
  }
}
