/** A configuration that fits the schema: what a file holds, before units are read. */
import type { SessionTuning } from '../../adapter/shmipc/index.ts'
import type { RETRY_CONDITIONS } from './schema-cluster.ts'

type Durations<Key extends string> = Readonly<Partial<Record<Key, string>>>

export interface ConfigDocument {
  readonly $schema?: string
  readonly version: 1
  readonly admin?: string
  readonly health?: string
  readonly accessLog?: boolean | AccessLogDocument
  readonly tracing?: boolean | { readonly sample?: string }
  readonly transportHeader?: boolean
  readonly drainTimeout?: string
  readonly drainDelay?: string
  readonly readyClusters?: readonly string[]
  readonly passthrough?: { readonly deny?: readonly string[] }
  readonly listeners: readonly ListenerDocument[]
  readonly clusters: readonly ClusterDocument[]
}

export interface AccessLogDocument {
  readonly format?: string
  readonly file?: string
  readonly sample?: string
}

export interface ListenerDocument extends SessionTuning {
  readonly name: string
  readonly address: string
  readonly routes: readonly RouteDocument[]
  readonly direction?: 'inbound' | 'outbound'
  readonly trustForwarded?: boolean | readonly string[]
  readonly forwarded?: boolean
  readonly via?: boolean
  readonly normalizePath?: boolean
  readonly mode?: number | string
  readonly group?: string | number
  readonly takeover?: boolean
  readonly timeouts?: Durations<'head' | 'body' | 'request' | 'idle' | 'tunnel'>
}

export interface RouteDocument {
  readonly match?: MatchDocument
  readonly cluster?: string
  readonly clusters?: readonly { readonly name: string; readonly weight: number }[]
  readonly rewrite?: {
    readonly prefix?: string
    readonly path?: string
    readonly host?: string
  }
  readonly redirect?: {
    readonly status?: 301 | 302 | 303 | 307 | 308
    readonly scheme?: 'http' | 'https'
    readonly host?: string
    readonly port?: number
    readonly prefix?: string
    readonly path?: string
  }
  readonly respond?: {
    readonly status: number
    readonly body?: string
    readonly contentType?: string
  }
  readonly timeouts?: Durations<'head' | 'perTry' | 'body' | 'request'>
  readonly retries?: number
}

export interface MatchDocument {
  readonly host?: string
  readonly path?: string
  readonly prefix?: string
  readonly method?: string | readonly string[]
  readonly headers?: readonly HeaderMatchDocument[]
}

export interface HeaderMatchDocument {
  readonly name: string
  readonly exact?: string
  readonly prefix?: string
  readonly present?: boolean
}

export interface ClusterDocument {
  readonly name: string
  readonly endpoints: readonly EndpointDocument[]
  readonly timeouts?: Durations<
    'connect' | 'queue' | 'head' | 'perTry' | 'body' | 'request' | 'idle'
  >
  readonly retries?: number
  readonly retryOn?: readonly ((typeof RETRY_CONDITIONS)[number] | number)[]
  readonly retryBackoff?: string
  readonly retryBudget?: { readonly percent?: number; readonly minimum?: number }
  readonly retryBufferLimit?: string
  readonly requests?: number
  readonly connections?: number
  readonly pending?: number
  readonly outlier?: {
    readonly consecutive5xx?: number
    readonly ejection?: string
    readonly maxEjection?: string
    readonly maxEjectedPercent?: number
  }
  readonly minFreeMemory?: number
}

export interface EndpointDocument extends SessionTuning {
  readonly address: string
  readonly weight?: number
  readonly memory?: string
}
