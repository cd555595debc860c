import { ShmError } from '../../adapter/errors.ts'

/** Where in the document: keys and array indices from the root. */
export type ConfigPath = readonly (string | number)[]

/** One thing wrong with a configuration. */
export interface ConfigProblem {
  readonly path: ConfigPath
  /** A key of the mapping at `path` that is itself the problem (unknown, duplicate). */
  readonly key?: string
  readonly message: string
}

/** The configuration cannot be used; nothing was started. The message has one line per problem. */
export class ConfigError extends ShmError {
  override readonly name: string = 'ConfigError'

  constructor(lines: readonly string[], options?: ErrorOptions) {
    super('SHM_ERR_CONFIG', lines.join('\n'), options)
  }
}

/** `['listeners', 0, 'name']` as `listeners[0].name`. */
export function formatPath(path: ConfigPath): string {
  let text = ''
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`
    else text += text === '' ? part : `.${part}`
  }
  return text
}
