import { originForm, type RequestHead } from '../adapter/http1/codec.ts'
import type {
  ForwardConfig,
  RedirectConfig,
  RequestLimits,
  RespondConfig,
  RouteConfig
} from './config/types.ts'
import { type PathRewrite, pathRewriteOf } from './rewrite.ts'
import type { Cluster } from './upstream/cluster.ts'

/** What a route does with the requests that match it: sends them to a cluster, or answers them. */
export interface Destination {
  readonly cluster: Cluster | undefined
  readonly limits: RequestLimits
  /** The Host the upstream is sent; `undefined`: the client's. */
  readonly host: string | undefined
  readonly rewrite: PathRewrite | undefined
  /** Set when there is no cluster. */
  readonly answer: ((head: RequestHead) => DirectAnswer) | undefined
}

/** An answer that no upstream has a part in. */
export interface DirectAnswer {
  readonly status: number
  /** Name, value, ...: without those that frame the body. */
  readonly headers: readonly string[]
  readonly body: string
}

const NO_LIMITS: RequestLimits = {
  headTimeoutMs: 0,
  perTryTimeoutMs: 0,
  bodyTimeoutMs: 0,
  requestTimeoutMs: 0,
  retries: 0
}

/** Shares out by weight, at random: each request alone, so that no client is kept on one side. */
export class WeightedChoice {
  readonly #first: Destination
  readonly #others: readonly (readonly [upTo: number, destination: Destination])[]

  /** @param entries at least one */
  constructor(entries: readonly (readonly [weight: number, destination: Destination])[]) {
    this.#first = entries[0]?.[1] as Destination
    const sum = entries.reduce((total, [weight]) => total + weight, 0)
    let upTo = 0
    this.#others =
      entries.length === 1
        ? []
        : entries.map(([weight, destination]) => {
            upTo += weight
            return [upTo / sum, destination]
          })
  }

  next(): Destination {
    if (this.#others.length === 0) return this.#first
    const at = Math.random()
    return this.#others.find(([upTo]) => at < upTo)?.[1] ?? this.#first
  }
}

/** @param find the cluster of a name */
export function destinationsOf(
  { match, action }: RouteConfig,
  find: (cluster: string) => Cluster
): [weight: number, destination: Destination][] {
  switch (action.kind) {
    case 'forward':
      return action.clusters.map(({ name, weight }) => [
        weight,
        forwardTo(find(name), action, match.prefix)
      ])
    case 'redirect':
      return [[1, answering(redirection(action, match.prefix))]]
    case 'respond': {
      const answer = response(action)
      return [[1, answering(() => answer)]]
    }
  }
}

function forwardTo(
  cluster: Cluster,
  { rewrite, limits }: ForwardConfig,
  prefix: string
): Destination {
  const own = Object.keys(limits).length > 0
  return {
    cluster,
    limits: own ? { ...cluster.config, ...limits } : cluster.config,
    host: rewrite?.host,
    rewrite: rewrite && pathRewriteOf(rewrite, prefix),
    answer: undefined
  }
}

function answering(answer: (head: RequestHead) => DirectAnswer): Destination {
  return { cluster: undefined, limits: NO_LIMITS, host: undefined, rewrite: undefined, answer }
}

function response({ status, body, contentType }: RespondConfig): DirectAnswer {
  // Written as Latin-1, like every text of ours.
  const bytes = Buffer.from(body).toString('latin1')
  return { status, headers: body === '' ? [] : ['Content-Type', contentType], body: bytes }
}

function redirection(config: RedirectConfig, prefix: string): (head: RequestHead) => DirectAnswer {
  const { status, scheme, host, port } = config
  const rewrite = pathRewriteOf(config, prefix)
  const absolute = scheme !== undefined || host !== undefined || port !== undefined
  return (head) => {
    const target = originForm(head.method, head.target)
    const path = rewrite === undefined ? target.replace(/^\/+/, '/') : rewrite(target)
    const to = absolute ? authority(head.host, host, port) : ''
    const where = to === '' ? path : `${scheme === undefined ? '' : `${scheme}:`}//${to}${path}`
    return { status, headers: ['Location', where], body: '' }
  }
}

/** Without the port of the request, which goes with its own host and scheme only. */
function authority(asked: string, host: string | undefined, port: number | undefined): string {
  const name = host ?? asked.replace(/:\d*$/, '')
  return port === undefined || name === '' ? name : `${name}:${port}`
}
