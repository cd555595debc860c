import type { Duplex } from 'node:stream'
import type {
  ControllerHandler,
  DispatchController,
  Handler,
  LegacyHandler,
  RawHeaders
} from './handlers.ts'
import { isControllerHandler, tellRefused } from './handlers.ts'
import { flatten, toHeaderObject, toRawHeaders } from './raw-headers.ts'

type BothHandler = ControllerHandler & LegacyHandler

/**
 * A handler that any dispatcher takes: those of undici 6 know only the old dialect, those of 8 only
 * the new one, and which one a foreign dispatcher wants cannot be asked. It calls one of the two
 * sets of methods, and `handler` hears what it understands.
 */
export function speakBothDialects(handler: Handler): BothHandler {
  const both = isControllerHandler(handler) ? withLegacy(handler) : withController(handler)
  for (const event of ['onResponseStarted', 'onBodySent', 'onRequestSent'] as const) {
    // As methods of `handler` itself: handlers of undici have private members.
    if (handler[event] !== undefined) {
      both[event] = (...args: unknown[]) => (handler[event] as (...a: unknown[]) => void)(...args)
    }
  }
  return both
}

function withController(inner: LegacyHandler): BothHandler {
  return {
    onConnect: (abort, context) => inner.onConnect(abort, context),
    onUpgrade: (...args) => inner.onUpgrade?.(...args),
    onHeaders: (...args) => inner.onHeaders?.(...args),
    onData: (chunk) => inner.onData?.(chunk),
    onComplete: (trailers) => inner.onComplete?.(trailers),
    onError: (error) => fail(inner, error),

    onRequestStart(controller, context) {
      inner.onConnect((reason) => controller.abort(reason as Error), context)
    },
    onRequestUpgrade(controller, status, headers, socket) {
      inner.onUpgrade?.(status, controller.rawHeaders ?? rawOf(headers), socket)
    },
    onResponseStart(controller, status, headers, reason) {
      const raw = controller.rawHeaders ?? rawOf(headers)
      if (inner.onHeaders?.(status, raw, () => controller.resume(), reason) === false) {
        controller.pause()
      }
    },
    onResponseData(controller, chunk) {
      if (inner.onData?.(chunk) === false) controller.pause()
    },
    onResponseEnd(controller, trailers) {
      inner.onComplete?.(controller.rawTrailers ?? rawOf(trailers))
    },
    onResponseError: (_controller, error) => fail(inner, error)
  }
}

/** What is refused before it begins may have no more of the new dialect than this. */
function fail(inner: LegacyHandler, error: Error): void {
  if (typeof inner.onError === 'function') inner.onError(error)
  else tellRefused(inner, error)
}

function withLegacy(inner: ControllerHandler): BothHandler {
  let controller: LegacyController | null = null
  return {
    onRequestStart: (...args) => inner.onRequestStart(...args),
    onRequestUpgrade: (...args) => inner.onRequestUpgrade?.(...args),
    onResponseStart: (...args) => inner.onResponseStart?.(...args),
    onResponseData: (...args) => inner.onResponseData?.(...args),
    onResponseEnd: (...args) => inner.onResponseEnd?.(...args),
    onResponseError: (...args) => inner.onResponseError?.(...args),

    onConnect(abort, context) {
      controller = new LegacyController(abort)
      inner.onRequestStart(controller, context)
    },
    onUpgrade(status: number, raw: RawHeaders, socket: Duplex) {
      controller!.rawHeaders = raw
      inner.onRequestUpgrade?.(controller!, status, objectOf(raw), socket)
    },
    onHeaders(status, raw, resume, reason) {
      controller!.rawHeaders = raw
      controller!.onResume = resume
      inner.onResponseStart?.(controller!, status, objectOf(raw), reason)
      return !controller!.paused
    },
    onData(chunk) {
      inner.onResponseData?.(controller!, chunk)
      return !controller!.paused
    },
    onComplete(raw) {
      controller!.rawTrailers = raw
      inner.onResponseEnd?.(controller!, objectOf(raw))
    },
    onError: (error) => inner.onResponseError?.(controller, error)
  }
}

/** Steers a request of a dispatcher that has no controllers. */
class LegacyController implements DispatchController {
  rawHeaders: RawHeaders | null = null
  rawTrailers: RawHeaders | null = null
  onResume: (() => void) | undefined
  aborted = false
  paused = false
  reason: Error | null = null
  readonly #abort: (reason?: Error) => void

  constructor(abort: (reason?: Error) => void) {
    this.#abort = abort
  }

  abort(reason: Error): void {
    if (this.aborted) return
    this.aborted = true
    this.reason = reason
    this.#abort(reason)
  }

  pause(): void {
    this.paused = true
  }

  resume(): void {
    if (!this.paused) return
    this.paused = false
    this.onResume?.()
  }
}

function rawOf(headers: Parameters<typeof flatten>[0]): Buffer[] {
  return toRawHeaders(flatten(headers))
}

function objectOf(raw: readonly (Buffer | string)[]): ReturnType<typeof toHeaderObject> {
  return toHeaderObject(raw.map((text) => (Buffer.isBuffer(text) ? text.toString('latin1') : text)))
}
