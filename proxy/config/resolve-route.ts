import { isFieldValue } from '../../adapter/http1/codec.ts'
import type { HeaderMatchDocument, MatchDocument, RouteDocument } from './document.ts'
import type { ConfigPath } from './problem.ts'
import type { ConfigReader } from './reader.ts'
import { didYouMean } from './suggest.ts'
import type {
  ForwardConfig,
  HeaderMatchConfig,
  MatchConfig,
  RedirectConfig,
  RequestLimits,
  RespondConfig,
  RouteConfig
} from './types.ts'

const ACTIONS = ['cluster', 'clusters', 'redirect', 'respond'] as const
const LIMITS = ['head', 'perTry', 'body', 'request'] as const

/** @param clusters the names a route may use */
export function resolveRoute(
  reader: ConfigReader,
  path: ConfigPath,
  route: RouteDocument,
  clusters: readonly string[]
): RouteConfig {
  const given = ACTIONS.filter((action) => route[action] !== undefined)
  if (given.length !== 1) {
    const got = given.length === 0 ? 'none' : given.join(' and ')
    reader.problem(path, `needs one of cluster, clusters, redirect and respond, has ${got}`)
  }
  const match = resolveMatch(reader, [...path, 'match'], route.match ?? {})
  if (route.redirect === undefined && route.respond === undefined) {
    const names = route.clusters ?? [{ name: route.cluster ?? '', weight: 1 }]
    for (const [index, { name }] of names.entries()) {
      if (name === '' || clusters.includes(name)) continue
      const at = route.clusters === undefined ? ['cluster'] : ['clusters', index, 'name']
      const hint = didYouMean(name, clusters)
      reader.problem([...path, ...at], `there is no cluster "${name}"${hint}`)
    }
    if (names.every(({ weight }) => weight === 0)) {
      reader.problem([...path, 'clusters'], 'all weights are 0: give one of them more')
    }
    return { match, action: resolveForward(reader, path, route, names) }
  }
  for (const key of ['rewrite', 'timeouts', 'retries'] as const) {
    if (route[key] !== undefined) reader.problem([...path, key], 'is for routes to a cluster')
  }
  const action =
    route.redirect === undefined
      ? resolveRespond(reader, path, route)
      : resolveRedirect(reader, path, route)
  return { match, action }
}

function resolveMatch(reader: ConfigReader, path: ConfigPath, match: MatchDocument): MatchConfig {
  if (match.path !== undefined && match.prefix !== undefined) {
    reader.problem([...path, 'prefix'], 'a path and a prefix exclude each other')
  }
  const { method } = match
  return {
    host: reader.host([...path, 'host'], match.host ?? '*', true),
    path: match.path,
    prefix: match.prefix ?? '/',
    methods: typeof method === 'string' ? [method] : method,
    headers: (match.headers ?? []).map((header, index) =>
      resolveHeader(reader, [...path, 'headers', index], header)
    )
  }
}

function resolveHeader(
  reader: ConfigReader,
  path: ConfigPath,
  header: HeaderMatchDocument
): HeaderMatchConfig {
  const given = (['exact', 'prefix', 'present'] as const).filter(
    (test) => header[test] !== undefined
  )
  if (given.length > 1) reader.problem(path, `${given.join(' and ')} exclude each other`)
  const name = header.name.toLowerCase()
  if (header.exact !== undefined) return { name, test: 'exact', value: header.exact }
  if (header.prefix !== undefined) return { name, test: 'prefix', value: header.prefix }
  return { name, test: header.present === false ? 'absent' : 'present', value: '' }
}

function resolveForward(
  reader: ConfigReader,
  path: ConfigPath,
  route: RouteDocument,
  clusters: readonly { readonly name: string; readonly weight: number }[]
): ForwardConfig {
  const limits: { -readonly [Key in keyof RequestLimits]?: number } = {}
  for (const key of LIMITS) {
    const text = route.timeouts?.[key]
    if (text === undefined) continue
    limits[`${key}TimeoutMs`] = reader.duration([...path, 'timeouts', key], text)
  }
  if (route.retries !== undefined) limits.retries = route.retries
  const { rewrite } = route
  if (rewrite !== undefined) checkPathRewrite(reader, [...path, 'rewrite'], rewrite, route)
  return {
    kind: 'forward',
    clusters: clusters.filter(({ weight }) => weight > 0),
    rewrite: rewrite && {
      prefix: rewrite.prefix,
      path: rewrite.path,
      host:
        rewrite.host === undefined
          ? undefined
          : reader.host([...path, 'rewrite', 'host'], rewrite.host, false)
    },
    limits
  }
}

function resolveRedirect(
  reader: ConfigReader,
  path: ConfigPath,
  route: RouteDocument
): RedirectConfig {
  const redirect = route.redirect ?? {}
  const at = [...path, 'redirect']
  checkPathRewrite(reader, at, redirect, route)
  const { scheme, host, port, prefix } = redirect
  if ([scheme, host, port, prefix, redirect.path].every((value) => value === undefined)) {
    reader.problem(at, 'leads back to the same place: give scheme, host, port, prefix or path')
  }
  return {
    kind: 'redirect',
    status: redirect.status ?? 302,
    scheme,
    host: host === undefined ? undefined : reader.host([...at, 'host'], host, false),
    port,
    prefix,
    path: redirect.path
  }
}

function resolveRespond(
  reader: ConfigReader,
  path: ConfigPath,
  route: RouteDocument
): RespondConfig {
  const { status = 500, body = '', contentType = 'text/plain; charset=utf-8' } = route.respond ?? {}
  if (!isFieldValue(contentType)) {
    reader.problem([...path, 'respond', 'contentType'], 'has characters no header may have')
  }
  if (body !== '' && (status === 204 || status === 205 || status === 304)) {
    reader.problem([...path, 'respond', 'body'], `a ${status} has no body`)
  }
  return { kind: 'respond', status, body, contentType }
}

function checkPathRewrite(
  reader: ConfigReader,
  path: ConfigPath,
  rewrite: { readonly prefix?: string; readonly path?: string },
  { match = {} }: RouteDocument
): void {
  if (rewrite.prefix !== undefined && rewrite.path !== undefined) {
    reader.problem([...path, 'prefix'], 'a path and a prefix exclude each other')
  }
  if (rewrite.prefix !== undefined && match.path !== undefined) {
    reader.problem([...path, 'prefix'], 'takes the place of match.prefix, and there is match.path')
  }
  for (const key of ['prefix', 'path'] as const) {
    const value = rewrite[key]
    if (value !== undefined && /[^\x21-\x7e]/.test(value)) {
      reader.problem([...path, key], 'must be percent-encoded, as it is sent as it is')
    }
  }
}
