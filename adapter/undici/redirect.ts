/** `maxRedirections` of a request, which undici 6 alone has. */

import type { Dispatcher } from 'undici'
import * as undici from 'undici'

type Dispatch = Dispatcher['dispatch']

/** Not in undici 7 and 8, which refuse the option. */
const { createRedirectInterceptor } = undici as unknown as {
  createRedirectInterceptor?: (options: { maxRedirections: number }) => (next: Dispatch) => Dispatch
}

/** Whether redirections are to be followed, and undici can. */
export function asksToRedirect(options: Dispatcher.DispatchOptions): boolean {
  if (createRedirectInterceptor === undefined) return false
  return Boolean((options as { maxRedirections?: unknown } | null)?.maxRedirections)
}

/**
 * Dispatches, and follows redirections with what Agent and Client of the user's undici 6 follow
 * them with: each goes where its own origin leads.
 *
 * @throws {errors.InvalidArgumentError} of undici when `maxRedirections` is no number
 */
export function dispatchRedirecting(
  dispatcher: Dispatcher,
  options: Dispatcher.DispatchOptions,
  handler: Parameters<Dispatch>[1]
): boolean {
  const intercept = createRedirectInterceptor!({ maxRedirections: 0 })
  return intercept((one, to) => dispatcher.dispatch(one, to))(options, handler)
}
