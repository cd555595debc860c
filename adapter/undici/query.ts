import { type ParsedUrlQueryInput, stringify } from 'node:querystring'
import { errors } from 'undici'

/**
 * @throws {errors.InvalidArgumentError} of undici when `path` has a query or a fragment already
 */
export function appendQuery(path: string, query: object): string {
  if (path.includes('?') || path.includes('#')) {
    throw new errors.InvalidArgumentError(
      'Query params cannot be passed when url already contains "?" or "#".'
    )
  }
  const text = stringify(query as ParsedUrlQueryInput)
  return text === '' ? path : `${path}?${text}`
}
