/** The configuration with every default filled in and every unit read: what the proxy runs on. */
import type { Address } from './address.ts'

export interface ProxyConfig {
  readonly admin: Address | undefined
  readonly health: Address | undefined
  /** `undefined`: no access log. */
  readonly accessLog: AccessLogConfig | undefined
  /** `undefined`: fields that carry traces are sent on as they come. */
  readonly tracing: { readonly sample: number } | undefined
  readonly transportHeader: boolean
  readonly drainTimeoutMs: number
  /** Between the first 503 of /ready and the last accepted connection. */
  readonly drainDelayMs: number
  /** Clusters without which the proxy is not ready. */
  readonly readyClusters: readonly string[]
  readonly listeners: readonly ListenerConfig[]
  readonly clusters: readonly ClusterConfig[]
}

export interface AccessLogConfig {
  /** `json`, `common`, `combined`, `shmesh`, or text with `%{NAME}` in it. */
  readonly format: string
  /** `undefined`: stdout. */
  readonly file: string | undefined
  /** Share of the requests without a failure that is logged: 0 to 1. */
  readonly sample: number
}

export interface ListenerConfig {
  readonly name: string
  readonly address: Address
  readonly routes: readonly RouteConfig[]
  readonly direction: 'inbound' | 'outbound'
  /** Who is believed about whom it speaks for: everybody, nobody, or these networks. */
  readonly trustForwarded: boolean | readonly string[]
  readonly forwarded: boolean
  readonly via: boolean
  readonly normalizePath: boolean
  readonly mode: number | undefined
  readonly group: string | number | undefined
  readonly takeover: boolean
  readonly headTimeoutMs: number
  readonly bodyTimeoutMs: number
  readonly idleTimeoutMs: number
}

export interface RouteConfig {
  readonly prefix: string
  /** Lower case; `*` for any host, `*.suffix` for any host below it. */
  readonly host: string
  readonly cluster: string
}

export interface ClusterConfig {
  readonly name: string
  readonly endpoints: readonly EndpointConfig[]
  readonly connectTimeoutMs: number
  readonly queueTimeoutMs: number
  /** From the request's start to the response's head; 0 is no limit. */
  readonly headTimeoutMs: number
  /** From the request's start to the response's end; 0 is no limit. */
  readonly requestTimeoutMs: number
  readonly idleTimeoutMs: number
  readonly retries: number
  readonly retryBufferBytes: number
  readonly connections: number
  readonly pending: number
}

export interface EndpointConfig {
  readonly address: Address
  /** As written; adapter/shmipc reads it. */
  readonly memory: string | undefined
}
