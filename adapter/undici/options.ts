import type { Dispatcher } from 'undici'
import { type RouteOptions, type Routes, resolveRoutes } from '../client/index.ts'
import { InvalidArgumentError } from '../errors.ts'
import { checkBoolean, checkOptionNames, parseMemory } from '../options.ts'
import { pickSessionTuning, SESSION_TUNING, type SessionTuning } from '../shmipc/index.ts'
import {
  type EventLimits,
  type EventSourceLimits,
  resolveEventLimits,
  type WebSocketLimits
} from './event-limits.ts'
import type { OriginOptions } from './origin.ts'
import { whole } from './whole.ts'

export interface ShmAgentOptions extends RouteOptions, SessionTuning {
  /** Shared memory per socket, with its unit. @defaultValue '64MiB' */
  readonly memory?: string
  /**
   * Connects to the origin itself when nobody listens on the socket. Each time is counted; the
   * first is logged as a warning. Without it, such a request fails with `UND_ERR_SOCKET`.
   *
   * @defaultValue false
   */
  readonly failOpen?: boolean
  /**
   * Dispatches what has no route.
   *
   * @defaultValue the dispatcher that was global when the agent was made
   */
  readonly fallback?: Dispatcher
  /** Dispatches `https:` origins, which never go to the proxy in clear. @defaultValue `fallback` */
  readonly https?: Dispatcher
  /** Most connections to one origin; further requests wait their turn. @defaultValue 1024 */
  readonly connections?: number
  /**
   * How long a request waits for a connection, be it to open or to become free, in milliseconds;
   * 0: for ever. Then it fails with `UND_ERR_CONNECT_TIMEOUT`.
   *
   * @defaultValue 10000
   */
  readonly connectTimeout?: number
  /**
   * How long the head of a response may take once the request is sent, in milliseconds; 0: for
   * ever. A request may say otherwise. @defaultValue 300000
   */
  readonly headersTimeout?: number
  /**
   * How long a body may pause, in milliseconds; 0: for ever. A request may say otherwise.
   *
   * @defaultValue 300000
   */
  readonly bodyTimeout?: number
  /**
   * How long a connection is kept whose server does not say how long it may be, in milliseconds.
   *
   * @defaultValue 4000
   */
  readonly keepAliveTimeout?: number
  /** How long it is kept at most, in milliseconds. @defaultValue 600000 */
  readonly keepAliveMaxTimeout?: number
  /** Most bytes of a response's head; else `UND_ERR_HEADERS_OVERFLOW`. @defaultValue 16384 */
  readonly maxHeaderSize?: number
  /**
   * Most bytes of a response's body; else `UND_ERR_RES_EXCEEDED_MAX_SIZE`. -1: any number.
   *
   * @defaultValue -1
   */
  readonly maxResponseSize?: number
  /**
   * Refuses a request whose body has not the length its `content-length` says. `false`: warns, and
   * sends the length it has; where that is not known before, the request fails all the same.
   *
   * @defaultValue true
   */
  readonly strictContentLength?: boolean
  /** Most requests on one connection; 0: any number. @defaultValue 0 */
  readonly maxRequestsPerClient?: number
  /** Of every `WebSocket` by this dispatcher, as undici's own have it. */
  readonly webSocket?: WebSocketLimits
  /** Of every `EventSource` by this dispatcher, as undici's own have it. */
  readonly eventSource?: EventSourceLimits
}

export interface ResolvedAgentOptions {
  readonly routes: Routes
  /** Of each socket's session. */
  readonly session: SessionTuning & { readonly memory: string | undefined }
  readonly failOpen: boolean
  readonly fallback: Dispatcher
  readonly https: Dispatcher
  readonly origin: OriginOptions
  readonly eventLimits: EventLimits
}

const OPTIONS: readonly string[] = [
  'uri',
  'routes',
  'memory',
  'failOpen',
  'fallback',
  'https',
  'connections',
  'connectTimeout',
  'headersTimeout',
  'bodyTimeout',
  'keepAliveTimeout',
  'keepAliveMaxTimeout',
  'maxHeaderSize',
  'maxResponseSize',
  'strictContentLength',
  'maxRequestsPerClient',
  'webSocket',
  'eventSource',
  ...SESSION_TUNING
]

/** @throws {InvalidArgumentError} */
export function resolveAgentOptions(
  given: string | ShmAgentOptions,
  globalDispatcher: () => Dispatcher
): ResolvedAgentOptions {
  const options = typeof given === 'string' ? { uri: given } : given
  checkOptionNames('ShmAgent', options, OPTIONS)
  const { failOpen = false, memory } = options
  checkBoolean('failOpen', failOpen)
  parseMemory('memory', memory)
  checkDispatcher('fallback', options.fallback)
  checkDispatcher('https', options.https)
  const fallback = options.fallback ?? globalDispatcher()
  return {
    routes: resolveRoutes(options),
    session: { ...pickSessionTuning(options), memory },
    failOpen,
    fallback,
    https: options.https ?? fallback,
    origin: resolveOriginOptions(options),
    eventLimits: resolveEventLimits(options.webSocket, options.eventSource)
  }
}

function checkDispatcher(option: string, value: Dispatcher | undefined): void {
  if (value === undefined || typeof value?.dispatch === 'function') return
  throw new InvalidArgumentError(option, 'a dispatcher', value)
}

function resolveOriginOptions(options: ShmAgentOptions): OriginOptions {
  const { maxHeaderSize, maxResponseSize, strictContentLength = true } = options
  checkBoolean('strictContentLength', strictContentLength)
  return {
    maxConnections: whole('connections', options.connections, 1024, 1),
    queueTimeoutMs: whole('connectTimeout', options.connectTimeout, 10_000),
    headersTimeout: whole('headersTimeout', options.headersTimeout, 300_000),
    bodyTimeout: whole('bodyTimeout', options.bodyTimeout, 300_000),
    keepAliveMs: whole('keepAliveTimeout', options.keepAliveTimeout, 4000, 1),
    keepAliveMaxMs: whole('keepAliveMaxTimeout', options.keepAliveMaxTimeout, 600_000, 1),
    limits: {
      maxHeaderBytes: whole('maxHeaderSize', maxHeaderSize, 16_384, 1)
    },
    maxResponseSize: whole('maxResponseSize', maxResponseSize, -1, -1),
    maxRequestsPerClient: whole('maxRequestsPerClient', options.maxRequestsPerClient, 0),
    strictContentLength
  }
}
