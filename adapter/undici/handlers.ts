/** The two dialects of undici's dispatch handlers, as seen by who calls them. */
import type { Duplex } from 'node:stream'
import { type Dispatcher, errors } from 'undici'
import type { Lease } from '../http1/index.ts'
import { IS_UNDICI_6, IS_UNDICI_8 } from './undici-version.ts'

/** Headers or trailers as objects: lower-case names, repeated fields as arrays. */
export type HeaderObject = Record<string, string | string[]>

/** Flat: name, value; latin1. */
export type RawHeaders = Buffer[] | string[]

/** What a handler of undici 7 and 8 steers its request with. */
export interface DispatchController {
  readonly aborted: boolean
  readonly paused: boolean
  readonly reason: Error | null
  /** Written by interceptors that change what comes behind them. */
  rawHeaders: RawHeaders | null
  rawTrailers: RawHeaders | null
  abort(reason: Error): void
  pause(): void
  /** Does nothing unless it is paused. */
  resume(): void
}

/** Of either dialect. */
interface AnyHandler {
  onResponseStarted?(): void
  onBodySent?(chunk: string | Uint8Array): void
  onRequestSent?(): void
}

/** Handlers of undici 7 and 8. */
export interface ControllerHandler extends AnyHandler {
  onRequestStart(controller: DispatchController, context: unknown): void
  onRequestUpgrade?(
    controller: DispatchController,
    status: number,
    headers: HeaderObject,
    socket: Duplex
  ): void
  onResponseStart?(
    controller: DispatchController,
    status: number,
    headers: HeaderObject,
    reason: string
  ): void
  onResponseData?(controller: DispatchController, chunk: Buffer): void
  /**
   * Of `ShmAgent` alone, for those who pass bytes on: a chunk as it lies in shared memory, instead
   * of a copy by `onResponseData`. `view` may be read during the call and, after `lease.hold()`,
   * until `lease.drop()`; later it shows other bytes. What is held keeps the sender from its memory.
   * Chunks that came otherwise go to `onResponseData`.
   */
  onResponseView?(controller: DispatchController, view: Buffer, lease: Lease): void
  onResponseEnd?(controller: DispatchController, trailers: HeaderObject): void
  /** The controller is null when the request was refused before it began. */
  onResponseError?(controller: DispatchController | null, error: Error): void
}

/** Handlers of undici 6, of undici 7 inside, and of `fetch` in Node.js 20 to 24. */
export interface LegacyHandler extends AnyHandler {
  onConnect(abort: (reason?: Error) => void, context: unknown): void
  onUpgrade?(status: number, rawHeaders: RawHeaders, socket: Duplex): void
  /** `false`: pauses until `resume`. */
  onHeaders?(status: number, rawHeaders: RawHeaders, resume: () => void, reason: string): unknown
  /** `false`: pauses until the `resume` given to `onHeaders`. */
  onData?(chunk: Buffer): unknown
  onComplete?(rawTrailers: RawHeaders): void
  onError(error: Error): void
}

export type Handler = ControllerHandler | LegacyHandler

/** What the user's undici says a handler is: its major versions have other names for it. */
export type UserHandler = Parameters<Dispatcher['dispatch']>[1]

/**
 * Not by any other method: legacy handlers of `fetch` have new names beside the old ones.
 */
export function isControllerHandler(handler: object): handler is ControllerHandler {
  return typeof (handler as Partial<ControllerHandler>).onRequestStart === 'function'
}

/** @throws {errors.InvalidArgumentError} of undici when it speaks neither dialect */
export function checkHandler(handler: unknown): void {
  if (typeof handler !== 'object' || handler === null) {
    throw new errors.InvalidArgumentError('handler must be an object')
  }
}

const LEGACY_METHODS = ['onHeaders', 'onData', 'onComplete']
const CONTROLLER_METHODS = ['onResponseStart', 'onResponseData', 'onResponseEnd']

/**
 * Refuses a handler that undici would refuse: one that lacks a method its dialect needs. Handlers
 * with controllers may be partial but for undici 8.
 *
 * @param tunnels the request is an upgrade or CONNECT
 * @throws {errors.InvalidArgumentError} of undici
 */
export function checkMethods(handler: Handler, tunnels: boolean): void {
  if (!isControllerHandler(handler)) {
    checkFunctions(handler, ['onConnect', 'onError'])
    checkOptional(handler, ['onBodySent'])
    checkFunctions(handler, tunnels ? ['onUpgrade'] : LEGACY_METHODS)
  } else if (IS_UNDICI_8) {
    checkFunctions(handler, ['onResponseError'])
    checkOptional(handler, ['onBodySent', 'onRequestSent'])
    checkFunctions(handler, tunnels ? ['onRequestUpgrade'] : CONTROLLER_METHODS)
  }
}

function checkFunctions(handler: object, names: readonly string[]): void {
  for (const name of names) checkFunction(name, (handler as Record<string, unknown>)[name])
}

function checkOptional(handler: object, names: readonly string[]): void {
  const methods = handler as Record<string, unknown>
  for (const name of names) {
    if (methods[name] !== undefined) checkFunction(name, methods[name])
  }
}

function checkFunction(name: string, method: unknown): void {
  if (typeof method === 'function') return
  throw new errors.InvalidArgumentError(`invalid ${name} method`)
}

/** Tells `handler` that its request was never begun, as undici's own dispatchers do. */
export function tellRefused(handler: Handler, error: unknown): void {
  const { onResponseError, onError } = handler as Partial<ControllerHandler & LegacyHandler>
  if (typeof onResponseError === 'function') onResponseError.call(handler, null, error as Error)
  else if (typeof onError === 'function') onError.call(handler, error as Error)
  else if (IS_UNDICI_6) throw new errors.InvalidArgumentError('invalid onError method')
  else throw error
}
