import { AsyncResource } from 'node:async_hooks'
import type { Duplex } from 'node:stream'
import type { Headers } from '../http1/index.ts'
import type { LegacyHandler } from './handlers.ts'
import type { Listener, Steering } from './listener.ts'
import { toRawHeaders } from './raw-headers.ts'

/** Tells a handler of undici 6, or of `fetch` in Node.js 20 to 24. */
export class LegacyListener implements Listener {
  readonly #handler: LegacyHandler
  readonly #steering: Steering

  constructor(handler: LegacyHandler, steering: Steering) {
    this.#handler = handler
    this.#steering = steering
  }

  start(): void {
    this.#handler.onConnect((reason) => this.#steering.abort(reason), null)
  }

  head(status: number, headers: Headers, reason: string): boolean {
    const resume = () => this.#steering.resume()
    return this.#handler.onHeaders?.(status, this.#raw(headers), resume, reason) !== false
  }

  data(chunk: Buffer): boolean {
    return this.#handler.onData?.(chunk) !== false
  }

  view(): boolean {
    return false
  }

  end(trailers: Headers): void {
    this.#handler.onComplete?.(this.#raw(trailers))
  }

  upgrade(status: number, headers: Headers, socket: Duplex): void {
    this.#handler.onUpgrade?.(status, this.#raw(headers), socket)
  }

  error(error: Error): void {
    this.#handler.onError(error)
  }

  /** Those behind `request`, `stream` and so on make text of it at once, and take text as well. */
  #raw(headers: Headers): Buffer[] | string[] {
    return this.#handler instanceof AsyncResource ? headers : toRawHeaders(headers)
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
