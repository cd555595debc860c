/** The configuration with every default filled in and every unit read: what the proxy runs on. */
import type { SessionTuning } from '../../adapter/shmipc/index.ts'
import type { Address } from './address.ts'

/** The cluster a route may name without defining it: the host the request itself asks for. */
export const PASSTHROUGH = 'passthrough'

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
  readonly passthrough: PassthroughConfig
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
  readonly tuning?: SessionTuning
  readonly headTimeoutMs: number
  readonly bodyTimeoutMs: number
  /** From the head of a request to its end; 0 is no limit. */
  readonly requestTimeoutMs: number
  readonly idleTimeoutMs: number
  /** Of a tunnel without a byte in either direction; 0 is no limit. */
  readonly tunnelTimeoutMs: number
}

export interface RouteConfig {
  readonly match: MatchConfig
  readonly action: ForwardConfig | RedirectConfig | RespondConfig
}

export interface MatchConfig {
  /** Lower case; `*` for any host, `*.suffix` for any host below it. */
  readonly host: string
  readonly path: string | undefined
  readonly prefix: string
  /** `undefined`: any. */
  readonly methods: readonly string[] | undefined
  readonly headers: readonly HeaderMatchConfig[]
}

export interface HeaderMatchConfig {
  /** Lower case. */
  readonly name: string
  readonly test: 'exact' | 'prefix' | 'present' | 'absent'
  readonly value: string
}

export interface ForwardConfig {
  readonly kind: 'forward'
  /** Those with a weight of 0 are left out; at least one. */
  readonly clusters: readonly { readonly name: string; readonly weight: number }[]
  readonly rewrite: RewriteConfig | undefined
  /** What the route says in place of the cluster. */
  readonly limits: Partial<RequestLimits>
}

export interface RewriteConfig extends PathRewriteConfig {
  readonly host: string | undefined
}

export interface PathRewriteConfig {
  readonly prefix: string | undefined
  readonly path: string | undefined
}

export interface RedirectConfig extends PathRewriteConfig {
  readonly kind: 'redirect'
  readonly status: number
  readonly scheme: string | undefined
  readonly host: string | undefined
  readonly port: number | undefined
}

export interface RespondConfig {
  readonly kind: 'respond'
  readonly status: number
  readonly body: string
  readonly contentType: string
}

/** What one request may take. A timeout of 0 is none. */
export interface RequestLimits {
  /** From the request's start to the response's head. */
  readonly headTimeoutMs: number
  /** From the start of an attempt to the response's head. */
  readonly perTryTimeoutMs: number
  /** Without a byte to or from the upstream. */
  readonly bodyTimeoutMs: number
  /** From the request's start to the response's end. */
  readonly requestTimeoutMs: number
  /** Attempts after the first. */
  readonly retries: number
}

export interface ClusterConfig extends RequestLimits {
  readonly name: string
  readonly endpoints: readonly EndpointConfig[]
  readonly connectTimeoutMs: number
  readonly queueTimeoutMs: number
  readonly idleTimeoutMs: number
  readonly retryOn: RetryConditions
  readonly retryBackoffMs: number
  readonly retryBudget: { readonly percent: number; readonly minimum: number }
  readonly retryBufferBytes: number
  /** In flight at once over all endpoints; 0 is no limit. */
  readonly requests: number
  readonly connections: number
  readonly pending: number
  /** `undefined`: endpoints are passed over only when they cannot be reached. */
  readonly outlier: OutlierConfig | undefined
  readonly minFreeMemoryPercent: number
}

export interface RetryConditions {
  readonly connectFailure: boolean
  readonly reset: boolean
  readonly timeout: boolean
  /** Ascending. */
  readonly statuses: readonly number[]
}

export interface OutlierConfig {
  readonly consecutive5xx: number
  readonly ejectionMs: number
  readonly maxEjectionMs: number
  readonly maxEjectedPercent: number
}

export interface EndpointConfig {
  readonly address: Address
  readonly weight: number
  /** As written; adapter/shmipc reads it. */
  readonly memory: string | undefined
  readonly tuning?: SessionTuning
}

export interface PassthroughConfig {
  /** IP addresses and networks that are never connected to. */
  readonly deny: readonly string[]
}
