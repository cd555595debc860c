/** What the scripts of this folder share. Node only: they run before anything is installed. */
import { spawnSync } from 'node:child_process'
import { accessSync, constants, readdirSync, statSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** The absolute path of a command on PATH, or `undefined`. */
export function which(command) {
  for (const directory of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(directory, command)
    try {
      accessSync(path, constants.X_OK)
      if (statSync(path).isFile()) return path
    } catch {
      // Not in this directory.
    }
  }
  return undefined
}

/** Runs a command with its output kept; `ok` is false when it could not start or failed. */
export function capture(command, args, options = {}) {
  const result = spawnSync(command, args, {
    cwd: ROOT,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
    ...options
  })
  const output = `${result.stdout ?? ''}${result.stderr ?? ''}${result.error?.message ?? ''}`
  return { ok: result.status === 0, output, stdout: result.stdout ?? '' }
}

/** Like {@link capture}, but ends this script with the output when the command fails. */
export function mustRun(command, args, options) {
  const result = capture(command, args, options)
  if (!result.ok) fail(`${result.output}\n${command} ${args.join(' ')} failed`)
  return result.stdout
}

export function fail(message) {
  console.error(message)
  process.exit(1)
}

/** All files below `directory`, as paths that begin with it. */
export function filesBelow(directory) {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name)
    return entry.isDirectory() ? filesBelow(path) : [path]
  })
}

export function seconds(startMs) {
  return `${((Date.now() - startMs) / 1000).toFixed(1)} s`
}
