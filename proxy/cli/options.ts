/** Reads command line options, with errors that name the nearest valid one. */
import { type ParseArgsConfig, parseArgs } from 'node:util'
import { nearest } from '../config/suggest.ts'
import { UsageError } from './usage-error.ts'

export type OptionTable = NonNullable<ParseArgsConfig['options']>
export type OptionValues = Readonly<
  Record<string, string | boolean | readonly string[] | undefined>
>

/**
 * @param help the command that tells what is valid
 * @throws {UsageError}
 */
export function readOptions(args: string[], options: OptionTable, help: string): OptionValues {
  const unknown = args.find((arg) => isUnknown(arg, options))
  if (unknown !== undefined) {
    const name = unknown.split('=', 1)[0] as string
    const valid = Object.keys(options).map((option) => `--${option}`)
    const hint = nearest(name, valid)
    const suggestion = hint === undefined ? '' : `; did you mean ${hint}?`
    throw new UsageError(`unknown option ${name}${suggestion}`, help)
  }
  try {
    return parseArgs({ args, options, strict: true, allowPositionals: false })
      .values as OptionValues
  } catch (error) {
    // The first sentence is Node's description; the rest is advice about its own API.
    const [message] = (error as Error).message.split(/\. |\n/, 1)
    throw new UsageError(message as string, help)
  }
}

function isUnknown(arg: string, options: OptionTable): boolean {
  if (!arg.startsWith('--') || arg === '--') return false
  return !Object.hasOwn(options, arg.slice(2).split('=', 1)[0] as string)
}
