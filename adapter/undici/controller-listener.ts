import type { Duplex } from 'node:stream'
import type { Headers, Lease } from '../http1/index.ts'
import type { ControllerHandler, DispatchController, RawHeaders } from './handlers.ts'
import type { Listener, Steering } from './listener.ts'
import { toHeaderObject, toRawHeaders } from './raw-headers.ts'

/** Tells a handler of undici 7 and 8. */
export class ControllerListener implements Listener {
  readonly #handler: ControllerHandler
  readonly #controller: Controller

  constructor(handler: ControllerHandler, steering: Steering) {
    this.#handler = handler
    this.#controller = new Controller(steering)
  }

  start(): void {
    this.#handler.onRequestStart(this.#controller, null)
  }

  head(status: number, headers: Headers, reason: string): boolean {
    const controller = this.#controller
    controller.begin(headers)
    this.#handler.onResponseStart?.(controller, status, toHeaderObject(headers), reason)
    return true
  }

  data(chunk: Buffer): boolean {
    this.#handler.onResponseData?.(this.#controller, chunk)
    return true
  }

  view(chunk: Buffer, lease: Lease): boolean {
    if (this.#handler.onResponseView === undefined) return false
    this.#handler.onResponseView(this.#controller, chunk, lease)
    return true
  }

  end(trailers: Headers): void {
    const controller = this.#controller
    controller.trailers = trailers
    this.#handler.onResponseEnd?.(controller, toHeaderObject(trailers))
  }

  upgrade(status: number, headers: Headers, socket: Duplex): void {
    const controller = this.#controller
    controller.begin(headers)
    this.#handler.onRequestUpgrade?.(controller, status, toHeaderObject(headers), socket)
  }

  error(error: Error): void {
    this.#handler.onResponseError?.(this.#controller, error)
  }

  responseStarted(): void {
    this.#handler.onResponseStarted?.()
  }

  bodySent(chunk: string | Uint8Array): void {
    this.#handler.onBodySent?.(chunk)
  }

  requestSent(): void {
    this.#handler.onRequestSent?.()
  }
}

/**
 * What the handler gets; raw headers are made when somebody asks for them. Interceptors put others
 * in their place, or change these (`decompress` of undici 8).
 */
class Controller implements DispatchController {
  headers: Headers | undefined
  trailers: Headers | undefined
  #rawHeaders: RawHeaders | null | undefined
  #rawTrailers: RawHeaders | null | undefined
  /** By the handler: a request that failed by itself may be tried again. */
  aborted = false
  reason: Error | null = null
  readonly #steering: Steering

  constructor(steering: Steering) {
    this.#steering = steering
  }

  /** Also behind the headers of interim responses. */
  begin(headers: Headers): void {
    this.headers = headers
    this.#rawHeaders = undefined
  }

  get paused(): boolean {
    return this.#steering.paused
  }

  get rawHeaders(): RawHeaders | null {
    if (this.#rawHeaders === undefined && this.headers !== undefined) {
      this.#rawHeaders = toRawHeaders(this.headers)
    }
    return this.#rawHeaders ?? null
  }

  set rawHeaders(headers: RawHeaders | null) {
    this.#rawHeaders = headers
  }

  get rawTrailers(): RawHeaders | null {
    if (this.#rawTrailers === undefined && this.trailers !== undefined) {
      this.#rawTrailers = toRawHeaders(this.trailers)
    }
    return this.#rawTrailers ?? null
  }

  set rawTrailers(trailers: RawHeaders | null) {
    this.#rawTrailers = trailers
  }

  abort(reason: Error): void {
    if (this.aborted) return
    this.aborted = true
    this.reason = reason
    this.#steering.abort(reason)
  }

  pause(): void {
    this.#steering.pause()
  }

  resume(): void {
    this.#steering.resume()
  }
}
