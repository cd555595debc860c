import { ShmError } from '../../adapter/errors.ts'

/** The command line cannot be understood. */
export class UsageError extends ShmError {
  override readonly name: string = 'UsageError'
  /** The command that tells what is valid. */
  readonly help: string

  constructor(message: string, help: string) {
    super('SHM_ERR_INVALID_ARG', message)
    this.help = help
  }
}

/** Says on stderr what went wrong; a stack only for what should not happen. Returns the exit code. */
export function reportFailure(error: unknown): number {
  if (error instanceof UsageError) {
    process.stderr.write(`shmesh: ${error.message}\nTry: ${error.help}\n`)
    return 2
  }
  if (error instanceof ShmError) {
    process.stderr.write(`shmesh: ${error.message}\n`)
    return 2
  }
  process.stderr.write(`shmesh: ${error instanceof Error ? error.stack : String(error)}\n`)
  return 1
}
