import { type Dispatcher, errors } from 'undici'
import { UnreachableError } from '../shmipc/index.ts'

/**
 * Wraps a handler so that a proxy nobody serves is told as `UND_ERR_SOCKET`, the code retry logic
 * knows. The connector cannot say so itself: undici dials again for ever after that code.
 */
export function tellUnreachable(handler: Dispatcher.DispatchHandler): Dispatcher.DispatchHandler {
  const inner = handler as AnyHandler
  return typeof inner['onRequestStart'] === 'function'
    ? forward(inner, CONTROLLER_EVENTS, 'onResponseError', 1)
    : forward(inner, LEGACY_EVENTS, 'onError', 0)
}

/** Tells `handler` that its request was never begun, as undici's own dispatchers do. */
export function tellRefused(handler: Dispatcher.DispatchHandler, error: unknown): void {
  const inner = handler as AnyHandler
  if (typeof inner['onResponseError'] === 'function') inner['onResponseError'](null, error)
  else if (typeof inner['onError'] === 'function') inner['onError'](error)
  else throw error
}

type AnyHandler = Record<string, ((...args: unknown[]) => unknown) | undefined>

/** Handlers of undici 7 and 8. */
const CONTROLLER_EVENTS: readonly string[] = [
  'onRequestStart',
  'onRequestUpgrade',
  'onResponseStart',
  'onResponseData',
  'onResponseEnd'
]
/** Handlers of undici 6, and of undici 7 inside. */
const LEGACY_EVENTS: readonly string[] = [
  'onConnect',
  'onUpgrade',
  'onHeaders',
  'onData',
  'onComplete'
]
const OPTIONAL_EVENTS: readonly string[] = ['onResponseStarted', 'onBodySent', 'onRequestSent']

/** Calls go to `inner` itself: handlers of undici have private members. */
function forward(
  inner: AnyHandler,
  events: readonly string[],
  onError: string,
  errorAt: number
): Dispatcher.DispatchHandler {
  const outer: AnyHandler = {}
  for (const event of [...events, ...OPTIONAL_EVENTS]) {
    if (inner[event] !== undefined) outer[event] = (...args) => inner[event]!(...args)
  }
  outer[onError] = (...args) => {
    args[errorAt] = translate(args[errorAt])
    return inner[onError]!(...args)
  }
  return outer as Dispatcher.DispatchHandler
}

function translate(error: unknown): unknown {
  if (!(error instanceof UnreachableError)) return error
  const told = new errors.SocketError(`cannot reach the proxy: ${error.message}`)
  told.cause = error
  return told
}
