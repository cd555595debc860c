/** The path a route sends a request on with, or a client to. */
import type { PathRewriteConfig } from './config/types.ts'

/** A target in origin-form to another. */
export type PathRewrite = (target: string) => string

/**
 * @param matched the route's prefix, which every path it gets begins with once it is decoded
 * @returns undefined when the path stays as it is
 */
export function pathRewriteOf(
  { prefix, path }: PathRewriteConfig,
  matched: string
): PathRewrite | undefined {
  if (path !== undefined) {
    return (target) => (target === '*' ? target : path + target.slice(pathEnd(target)))
  }
  if (prefix === undefined) return undefined
  const from = Buffer.byteLength(withoutSlash(matched))
  const to = withoutSlash(prefix)
  return (target) => {
    if (target === '*') return target
    const end = pathEnd(target)
    const rest = target.slice(encodedLength(target, from), end)
    // Two slashes at the beginning would name another host to whoever resolves it as a reference.
    return (
      `${to}${rest.startsWith('/') ? rest : `/${rest}`}`.replace(/^\/+/, '/') + target.slice(end)
    )
  }
}

/** `/` and `/a/` as `` and `/a`: the slash comes back with what follows. */
function withoutSlash(path: string): string {
  return path.endsWith('/') ? path.slice(0, -1) : path
}

function pathEnd(target: string): number {
  const query = target.indexOf('?')
  return query === -1 ? target.length : query
}

/** How many characters of `target` are `bytes` bytes once their percent-encoding is undone. */
function encodedLength(target: string, bytes: number): number {
  let at = 0
  for (let i = 0; i < bytes; i++) at += target[at] === '%' ? 3 : 1
  return at
}
