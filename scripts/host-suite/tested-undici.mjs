/** The undici of the checkout under test, which our adapter uses, too: import that after this. */
import { createRequire, register } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

export const ENTRY = join(process.env.HOST_SUITE_ROOT, 'index.js')

register(
  `data:text/javascript,${encodeURIComponent(`
    export const resolve = (name, context, next) =>
      name === 'undici' ? { url: ${JSON.stringify(pathToFileURL(ENTRY).href)}, shortCircuit: true } : next(name, context)
  `)}`
)
export const requireOf = createRequire(ENTRY)
export const undici = requireOf(ENTRY)
