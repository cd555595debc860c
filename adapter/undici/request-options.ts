import { type Dispatcher, errors } from 'undici'
import { isToken } from '../http1/index.ts'
import { IS_UNDICI_6 } from './undici-version.ts'

/** What `dispatch` is called with; undici's types differ between its major versions. */
export type RequestOptions = Dispatcher.DispatchOptions

const NOT_PATH = /[^\u0021-\u00ff]/

/**
 * Refuses what undici's own client refuses, in its words.
 *
 * @throws {errors.InvalidArgumentError} of undici
 */
export function checkRequestOptions(options: RequestOptions): void {
  const { path, method, upgrade, headersTimeout, bodyTimeout, reset } = options
  if (typeof path !== 'string') throw new errors.InvalidArgumentError('path must be a string')
  if (!path.startsWith('/') && method !== 'CONNECT' && !/^https?:\/\//.test(path)) {
    throw new errors.InvalidArgumentError('path must be an absolute URL or start with a slash')
  }
  if (NOT_PATH.test(path)) throw new errors.InvalidArgumentError('invalid request path')
  if (typeof method !== 'string') throw new errors.InvalidArgumentError('method must be a string')
  if (!isToken(method)) throw new errors.InvalidArgumentError('invalid request method')
  if (upgrade && typeof upgrade !== 'string') {
    throw new errors.InvalidArgumentError('upgrade must be a string')
  }
  checkTimeout('headersTimeout', headersTimeout)
  checkTimeout('bodyTimeout', bodyTimeout)
  if (reset !== undefined && reset !== null && typeof reset !== 'boolean') {
    throw new errors.InvalidArgumentError('invalid reset')
  }
  const { expectContinue, throwOnError, maxRedirections } = options as never as Record<
    string,
    unknown
  >
  if (expectContinue !== undefined && expectContinue !== null) {
    if (typeof expectContinue !== 'boolean') {
      throw new errors.InvalidArgumentError('invalid expectContinue')
    }
  }
  // `request` and `stream` of undici 6 see to it themselves.
  if (throwOnError !== undefined && throwOnError !== null && !IS_UNDICI_6) {
    throw new errors.InvalidArgumentError('invalid throwOnError')
  }
  if (maxRedirections) {
    throw new errors.InvalidArgumentError(
      'maxRedirections is not supported, use the redirect interceptor'
    )
  }
}

function checkTimeout(name: string, ms: unknown): void {
  if (ms === undefined || ms === null) return
  if (!Number.isFinite(ms) || (ms as number) < 0) {
    throw new errors.InvalidArgumentError(`invalid ${name}`)
  }
}
