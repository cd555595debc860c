import { accessSync, constants } from 'node:fs'
import { createRequire } from 'node:module'
import { delimiter, join } from 'node:path'

const NEEDED = ['fastify', 'autocannon'] as const
/** What builds the addon; each is in the Debian package of the same name. */
const BUILD_TOOLS = ['g++', 'make', 'python3'] as const

/** What the demo needs and users of the package do not: how to run it, when something is missing. */
export function missingPackages(): string | undefined {
  const { resolve } = createRequire(import.meta.url)
  const missing = NEEDED.filter((name) => {
    try {
      resolve(name)
      return false
    } catch {
      return true
    }
  })
  if (missing.length === 0) return undefined
  const names = missing.join(' and ')
  return `the demo needs ${names}; run: npx -p shmesh -p fastify -p autocannon shmesh demo`
}

/** The Debian packages whose absence explains that there is no addon; undefined when none is. */
export function missingBuildTools(): string | undefined {
  if (process.platform !== 'linux' || process.env['SHMESH_DISABLE'] === '1') return undefined
  const missing = BUILD_TOOLS.filter((tool) => findProgram(tool) === undefined)
  return missing.length === 0 ? undefined : `apt-get install ${missing.join(' ')}`
}

/** The file of a program; undefined when there is none. @param also looked at after the path */
export function findProgram(command: string, also = ''): string | undefined {
  const directories = [...(process.env['PATH'] ?? '').split(delimiter), also]
  return directories
    .map((directory) => join(directory, command))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK)
        return true
      } catch {
        return false
      }
    })
}
