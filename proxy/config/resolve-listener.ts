import type { Address } from './address.ts'
import type { ListenerDocument } from './document.ts'
import type { ConfigPath } from './problem.ts'
import type { ConfigReader } from './reader.ts'
import { resolveRoute } from './resolve-route.ts'
import { isNetwork, trustRule } from './trust.ts'
import { resolveTuning } from './tuning.ts'
import { type ListenerConfig, PASSTHROUGH, type RouteConfig } from './types.ts'

/** @param clusters the names routes may use */
export function resolveListener(
  reader: ConfigReader,
  path: ConfigPath,
  listener: ListenerDocument,
  clusters: readonly string[]
): ListenerConfig {
  const address = reader.address([...path, 'address'], listener.address, 'listener')
  if (address.kind === 'http') {
    for (const key of ['mode', 'group', 'takeover'] as const) {
      if (listener[key] === undefined) continue
      reader.problem([...path, key], 'is for unix:// and shm:// listeners')
    }
  }
  const direction = listener.direction ?? (address.kind === 'http' ? 'inbound' : 'outbound')
  const timeouts = listener.timeouts ?? {}
  const duration = (key: keyof typeof timeouts, fallback: string) =>
    reader.positive([...path, 'timeouts', key], timeouts[key] ?? fallback)
  const optional = (key: keyof typeof timeouts, fallback: string) =>
    reader.duration([...path, 'timeouts', key], timeouts[key] ?? fallback)
  const routes = listener.routes.map((route, index) => {
    const at = [...path, 'routes', index]
    const resolved = resolveRoute(reader, at, route, clusters)
    if (usesPassthrough(resolved)) refuseOpenProxy(reader, at, direction, address)
    return resolved
  })
  return {
    name: listener.name,
    address,
    routes,
    direction,
    trustForwarded: resolveTrust(reader, path, listener, direction === 'outbound'),
    forwarded: listener.forwarded ?? false,
    via: listener.via ?? true,
    normalizePath: listener.normalizePath ?? false,
    mode: typeof listener.mode === 'string' ? Number.parseInt(listener.mode, 8) : listener.mode,
    group: listener.group,
    takeover: listener.takeover ?? false,
    ...reader.try(path, {}, (option) => resolveTuning(option, listener, address.kind === 'shm')),
    headTimeoutMs: duration('head', '60s'),
    bodyTimeoutMs: duration('body', '60s'),
    requestTimeoutMs: optional('request', '0ms'),
    idleTimeoutMs: duration('idle', '75s'),
    tunnelTimeoutMs: optional('tunnel', '1h')
  }
}

function resolveTrust(
  reader: ConfigReader,
  path: ConfigPath,
  { trustForwarded }: ListenerDocument,
  fallback: boolean
): boolean | readonly string[] {
  if (!Array.isArray(trustForwarded)) return (trustForwarded as boolean | undefined) ?? fallback
  for (const [index, network] of trustForwarded.entries()) {
    if (isNetwork(network)) continue
    const at = [...path, 'trustForwarded', index]
    reader.problem(at, `"${network}" must be an IP address or a network such as 10.0.0.0/8`)
  }
  return trustForwarded
}

function usesPassthrough({ action }: RouteConfig): boolean {
  return action.kind === 'forward' && action.clusters.some(({ name }) => name === PASSTHROUGH)
}

/** Whoever reaches such a listener reaches all that this machine does. */
function refuseOpenProxy(
  reader: ConfigReader,
  path: ConfigPath,
  direction: 'inbound' | 'outbound',
  address: Address
): void {
  const remedy = `, or name the hosts it may reach as clusters`
  if (direction === 'inbound') {
    const message = `an inbound listener cannot pass requests through to anywhere: set direction: outbound${remedy}`
    reader.problem(path, message)
  } else if (address.kind === 'http' && !isLoopback(address.host)) {
    const message = `others can reach ${address.text} and would reach everything through it: listen on 127.0.0.1, unix:// or shm://${remedy}`
    reader.problem(path, message)
  }
}

const isLoopbackAddress = trustRule(['127.0.0.0/8', '::1'])

function isLoopback(host: string): boolean {
  return host === 'localhost' || isLoopbackAddress(host)
}
