import { InvalidArgumentError } from '../../adapter/errors.ts'
import { isAuthority } from '../../adapter/http1/index.ts'
import { parseDuration, parseSize } from '../../adapter/options.ts'
import { type Address, type AddressUse, parseAddress } from './address.ts'
import { type ConfigPath, type ConfigProblem, formatPath } from './problem.ts'

/**
 * Reads single values and gathers what is wrong with them. A value that was refused is replaced by
 * one that does for the moment, so that the rest is checked as well.
 */
export class ConfigReader {
  readonly problems: ConfigProblem[] = []

  address(path: ConfigPath, text: string, use: AddressUse): Address {
    const none: Address = { kind: 'http', text, host: '', port: 0 }
    return this.try(path, none, (option) => parseAddress(option, text, use))
  }

  /** Milliseconds; 0 is allowed. */
  duration(path: ConfigPath, text: string): number {
    return this.try(path, 0, (option) => parseDuration(option, text))
  }

  /** Milliseconds; 0 is refused. */
  positive(path: ConfigPath, text: string): number {
    return this.try(path, 0, (option) => {
      const milliseconds = parseDuration(option, text)
      if (milliseconds > 0) return milliseconds
      throw new InvalidArgumentError(option, 'longer than 0', text)
    })
  }

  /** Bytes. */
  size(path: ConfigPath, text: string): number {
    return this.try(path, 0, (option) => parseSize(option, text))
  }

  /** A host, `*.suffix` when `pattern`, in lower case. */
  host(path: ConfigPath, host: string, pattern: boolean): string {
    const lower = host.toLowerCase()
    const stars = lower.split('*').length - 1
    const wild = pattern && (lower === '*' || lower.startsWith('*.'))
    if (stars > (wild ? 1 : 0)) {
      const forms = pattern ? 'a host, "*.suffix" or "*"' : 'a host without "*"'
      this.problem(path, `"${host}" must be ${forms}`)
    }
    const name = wild ? lower.replace(/^\*\.?/, '') : lower.replaceAll('*', '')
    const portless = /:/.test(name.replace(/^\[.*\]$/, ''))
    if ((name !== '' && !isAuthority(name, false)) || portless) {
      this.problem(path, `${JSON.stringify(host)} must be a host without scheme, port or path`)
    }
    return lower
  }

  /** `fallback` stands in for a value that was refused. */
  try<T>(path: ConfigPath, fallback: T, read: (option: string) => T): T {
    try {
      return read(formatPath(path))
    } catch (error) {
      this.problems.push({ path, message: (error as Error).message })
      return fallback
    }
  }

  problem(path: ConfigPath, message: string): void {
    this.problems.push({ path, message: `${formatPath(path)}: ${message}` })
  }
}
