import { createRequire } from 'node:module'

const NEEDED = ['fastify', 'autocannon'] as const

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
