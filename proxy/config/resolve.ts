/** From a document that fits the schema to the configuration the proxy runs on. */
import { checkFormat } from '../access-log/format.ts'
import type { Address } from './address.ts'
import type { AccessLogDocument, ConfigDocument } from './document.ts'
import type { ConfigReader } from './reader.ts'
import { resolveCluster } from './resolve-cluster.ts'
import { resolveListener } from './resolve-listener.ts'
import { parseShare } from './share.ts'
import { didYouMean } from './suggest.ts'
import { isNetwork } from './trust.ts'
import { type AccessLogConfig, PASSTHROUGH, type ProxyConfig } from './types.ts'

/** The result may be used when `reader` has found no problems. */
export function resolveDocument(reader: ConfigReader, document: ConfigDocument): ProxyConfig {
  refuseDuplicates(reader, 'listeners', document.listeners)
  refuseDuplicates(reader, 'clusters', document.clusters)
  const reserved = document.clusters.findIndex((cluster) => cluster.name === PASSTHROUGH)
  if (reserved !== -1) {
    reader.problem(['clusters', reserved, 'name'], `"${PASSTHROUGH}" is built in: rename it`)
  }
  const clusters = [...document.clusters.map((cluster) => cluster.name), PASSTHROUGH]
  return {
    admin: optionalAddress(reader, 'admin', document.admin),
    health: optionalAddress(reader, 'health', document.health),
    accessLog: resolveAccessLog(reader, document.accessLog ?? false),
    tracing: resolveTracing(reader, document.tracing ?? false),
    transportHeader: document.transportHeader ?? false,
    drainTimeoutMs: reader.duration(['drainTimeout'], document.drainTimeout ?? '10s'),
    drainDelayMs: reader.duration(['drainDelay'], document.drainDelay ?? '0s'),
    readyClusters: resolveReadyClusters(reader, document),
    passthrough: { deny: resolveDenied(reader, document.passthrough?.deny ?? []) },
    listeners: document.listeners.map((listener, index) =>
      resolveListener(reader, ['listeners', index], listener, clusters)
    ),
    clusters: document.clusters.map((cluster, index) =>
      resolveCluster(reader, ['clusters', index], cluster)
    )
  }
}

function resolveDenied(reader: ConfigReader, deny: readonly string[]): readonly string[] {
  for (const [index, network] of deny.entries()) {
    if (isNetwork(network)) continue
    const at = ['passthrough', 'deny', index]
    reader.problem(at, `"${network}" must be an IP address or a network such as 169.254.0.0/16`)
  }
  return deny
}

function resolveAccessLog(
  reader: ConfigReader,
  document: boolean | AccessLogDocument
): AccessLogConfig | undefined {
  if (document === false) return undefined
  const { format = 'json', file, sample = '100%' } = document === true ? {} : document
  return {
    format: reader.try(['accessLog', 'format'], 'json', (option) => checkFormat(option, format)),
    file,
    sample: reader.try(['accessLog', 'sample'], 1, (option) => parseShare(option, sample))
  }
}

function resolveTracing(
  reader: ConfigReader,
  document: boolean | { readonly sample?: string }
): ProxyConfig['tracing'] {
  if (document === false) return undefined
  const { sample = '100%' } = document === true ? {} : document
  return { sample: reader.try(['tracing', 'sample'], 1, (option) => parseShare(option, sample)) }
}

function resolveReadyClusters(
  reader: ConfigReader,
  { readyClusters = [], clusters }: ConfigDocument
): readonly string[] {
  const names = clusters.map((cluster) => cluster.name)
  for (const [index, name] of readyClusters.entries()) {
    if (names.includes(name)) continue
    const hint = didYouMean(name, names)
    reader.problem(['readyClusters', index], `there is no cluster "${name}"${hint}`)
  }
  return readyClusters
}

function optionalAddress(
  reader: ConfigReader,
  key: string,
  text: string | undefined
): Address | undefined {
  return text === undefined ? undefined : reader.address([key], text, 'admin')
}

function refuseDuplicates(
  reader: ConfigReader,
  list: string,
  entries: readonly { readonly name: string }[]
): void {
  const seen = new Map<string, number>()
  for (const [index, { name }] of entries.entries()) {
    const first = seen.get(name)
    if (first === undefined) seen.set(name, index)
    else reader.problem([list, index, 'name'], `"${name}" is already ${list}[${first}]'s name`)
  }
}
