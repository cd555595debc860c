/**
 * The shape of the configuration file as a JSON Schema (draft 7), printed by
 * `shmesh proxy --schema`. What a schema cannot say (units, addresses, references) is checked in
 * resolve.ts; docs/reference/proxy-config.md says what each key is for.
 */

const address = { type: 'string', title: 'address' } as const
const duration = { type: 'string', title: 'duration' } as const
const size = { type: 'string', title: 'size' } as const
const name = { type: 'string', minLength: 1, maxLength: 100, title: 'name' } as const
const path = { type: 'string', pattern: '^/', title: 'path' } as const
const share = { type: 'string', pattern: '^[0-9]{1,3}(\\.[0-9]{1,3})?%$', title: 'share' } as const

const match = {
  type: 'object',
  additionalProperties: false,
  properties: { prefix: path, host: { type: 'string', minLength: 1 } }
} as const

const route = {
  type: 'object',
  additionalProperties: false,
  required: ['cluster'],
  properties: { match, cluster: name }
} as const

const listener = {
  type: 'object',
  additionalProperties: false,
  required: ['name', 'address', 'routes'],
  properties: {
    name,
    address,
    routes: { type: 'array', minItems: 1, items: route },
    direction: { enum: ['inbound', 'outbound'] },
    trustForwarded: {
      title: 'trust',
      anyOf: [{ type: 'boolean' }, { type: 'array', items: { type: 'string' } }]
    },
    forwarded: { type: 'boolean' },
    via: { type: 'boolean' },
    normalizePath: { type: 'boolean' },
    mode: {
      title: 'mode',
      anyOf: [
        { type: 'integer', minimum: 0, maximum: 0o777 },
        { type: 'string', pattern: '^0?[0-7]{3}$' }
      ]
    },
    group: {
      anyOf: [
        { type: 'string', minLength: 1 },
        { type: 'integer', minimum: 0 }
      ]
    },
    takeover: { type: 'boolean' },
    timeouts: {
      type: 'object',
      additionalProperties: false,
      properties: { head: duration, body: duration, idle: duration }
    }
  }
} as const

const cluster = {
  type: 'object',
  additionalProperties: false,
  required: ['name', 'endpoints'],
  properties: {
    name,
    endpoints: {
      type: 'array',
      minItems: 1,
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['address'],
        properties: { address, memory: size }
      }
    },
    timeouts: {
      type: 'object',
      additionalProperties: false,
      properties: {
        connect: duration,
        queue: duration,
        head: duration,
        request: duration,
        idle: duration
      }
    },
    retries: { type: 'integer', minimum: 0, maximum: 10 },
    retryBufferLimit: size,
    connections: { type: 'integer', minimum: 1, maximum: 65535 },
    pending: { type: 'integer', minimum: 0, maximum: 65535 }
  }
} as const

export const configSchema: Readonly<Record<string, unknown>> = {
  $schema: 'http://json-schema.org/draft-07/schema#',
  title: 'shmesh proxy configuration',
  type: 'object',
  additionalProperties: false,
  required: ['version', 'listeners', 'clusters'],
  properties: {
    version: { const: 1 },
    admin: address,
    health: address,
    accessLog: {
      type: ['boolean', 'object'],
      title: 'accessLog',
      additionalProperties: false,
      properties: { format: { type: 'string', minLength: 1 }, file: path, sample: share }
    },
    tracing: {
      type: ['boolean', 'object'],
      title: 'tracing',
      additionalProperties: false,
      properties: { sample: share }
    },
    transportHeader: { type: 'boolean' },
    drainTimeout: duration,
    drainDelay: duration,
    readyClusters: { type: 'array', items: name },
    listeners: { type: 'array', minItems: 1, items: listener },
    clusters: { type: 'array', items: cluster }
  }
}

/** A configuration that fits {@link configSchema}: what a file holds, before units are read. */
export interface ConfigDocument {
  readonly version: 1
  readonly admin?: string
  readonly health?: string
  readonly accessLog?: boolean | AccessLogDocument
  readonly tracing?: boolean | { readonly sample?: string }
  readonly transportHeader?: boolean
  readonly drainTimeout?: string
  readonly drainDelay?: string
  readonly readyClusters?: readonly string[]
  readonly listeners: readonly ListenerDocument[]
  readonly clusters: readonly ClusterDocument[]
}

export interface AccessLogDocument {
  readonly format?: string
  readonly file?: string
  readonly sample?: string
}

export interface ListenerDocument {
  readonly name: string
  readonly address: string
  readonly routes: readonly {
    readonly match?: { readonly prefix?: string; readonly host?: string }
    readonly cluster: string
  }[]
  readonly direction?: 'inbound' | 'outbound'
  readonly trustForwarded?: boolean | readonly string[]
  readonly forwarded?: boolean
  readonly via?: boolean
  readonly normalizePath?: boolean
  readonly mode?: number | string
  readonly group?: string | number
  readonly takeover?: boolean
  readonly timeouts?: Readonly<Partial<Record<'head' | 'body' | 'idle', string>>>
}

export interface ClusterDocument {
  readonly name: string
  readonly endpoints: readonly EndpointDocument[]
  readonly timeouts?: Readonly<
    Partial<Record<'connect' | 'queue' | 'head' | 'request' | 'idle', string>>
  >
  readonly retries?: number
  readonly retryBufferLimit?: string
  readonly connections?: number
  readonly pending?: number
}

export interface EndpointDocument {
  readonly address: string
  readonly memory?: string
}
