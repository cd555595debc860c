import { ConnectionResetError } from '../errors.ts'

/** What streams of the session on `path` end with, when it ends with `error`. */
export function toReset(error: Error | undefined, path: string): Error {
  if (error instanceof ConnectionResetError) return error
  return new ConnectionResetError(
    error?.message ?? `the session on ${path} was destroyed`,
    error === undefined ? undefined : { cause: error }
  )
}
