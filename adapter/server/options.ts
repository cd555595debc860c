import { isIP } from 'node:net'
import { InvalidArgumentError } from '../errors.ts'
import { checkBoolean, checkOptionNames, parseDuration } from '../options.ts'
import {
  defaultSocketPath,
  parseShmAddress,
  parseShmDirectory,
  pickSessionTuning,
  SESSION_TUNING,
  type SessionTuning
} from '../shmipc/index.ts'

/** How an HTTP server is served through shared memory. */
export interface ServerOptions extends SessionTuning {
  /**
   * Unix socket the proxy connects to: `shm:///run/shmesh/app.sock` or an absolute path, or several
   * of them. One that ends in `/` is a directory, made when it is missing, in which each process and
   * each worker thread that is given it has a socket of its own; clients spread over all of them.
   *
   * @defaultValue `app.sock` in `SHMESH_DIR`, else in `$XDG_RUNTIME_DIR/shmesh`, else in
   *   `<tmpdir>/shmesh-<uid>`
   */
  readonly path?: string | readonly string[]
  /**
   * Permission bits of the socket: who may write it may send requests.
   *
   * @defaultValue 0o600
   */
  readonly mode?: number
  /** Group of the socket, by name or gid; with `mode: 0o660` its members may connect too. */
  readonly group?: string | number
  /**
   * Replaces a living server on the same path; it keeps its connections until it closes.
   *
   * @defaultValue false
   */
  readonly takeover?: boolean
  /**
   * The largest shared memory a client may bring, with its unit. One that brings more is served by
   * ordinary sockets.
   *
   * @defaultValue '3GiB', the most there can be
   */
  readonly memory?: string
  /**
   * Serves shared memory by node:http's own codec, with each of its habits, at several times the
   * CPU: for what depends on more of it than its documentation says.
   *
   * @defaultValue false
   */
  readonly compat?: boolean
  /**
   * What `request.socket.remoteAddress`, and with it `request.ip` of Fastify, says of clients on these
   * paths, an IP address. For code that must have one: `trustProxy` of addresses trusts the proxy as
   * if it had connected from here, so give `127.0.0.1` only where everybody who may write to the
   * socket may say whom a request is from.
   *
   * @defaultValue undefined, as on every Unix socket: `trustProxy: true` trusts it, addresses do not
   */
  readonly remoteAddress?: string
  /**
   * How long closing waits for requests under way before it destroys their connections.
   *
   * @defaultValue '30s'
   */
  readonly drainTimeout?: string
}

export interface ResolvedServerOptions {
  /** Directories end in `/`. */
  readonly paths: readonly string[]
  readonly mode: number | undefined
  readonly group: string | number | undefined
  readonly takeover: boolean
  readonly memory: string | undefined
  readonly compat: boolean
  readonly remoteAddress: string | undefined
  readonly drainTimeoutMs: number
  readonly tuning: SessionTuning
}

export const SERVER_OPTIONS: readonly (keyof ServerOptions)[] = [
  'path',
  'mode',
  'group',
  'takeover',
  'memory',
  'compat',
  'remoteAddress',
  'drainTimeout',
  ...SESSION_TUNING
]

/**
 * @param owner what was given the options, for the message
 * @param own names of others it knows
 * @param ignored names of others that may be among them
 * @throws {InvalidArgumentError}
 */
export function resolveServerOptions(
  owner: string,
  options: ServerOptions,
  own: readonly string[] = [],
  ignored: readonly string[] = []
): ResolvedServerOptions {
  checkOptionNames(owner, options, [...SERVER_OPTIONS, ...own], ignored)
  const given = options.path === undefined ? [defaultSocketPath('app')] : [options.path].flat()
  if (given.length === 0) throw new InvalidArgumentError('path', 'one path at least', '[]')
  const paths = given.map((path) => parsePath(path as string))
  const { mode, group, takeover = false, memory, compat = false, drainTimeout = '30s' } = options
  const { remoteAddress } = options
  checkBoolean('takeover', takeover)
  checkBoolean('compat', compat)
  if (remoteAddress !== undefined && isIP(String(remoteAddress)) === 0) {
    throw new InvalidArgumentError('remoteAddress', 'an IP address', remoteAddress)
  }
  return {
    paths,
    mode,
    group,
    takeover,
    memory,
    compat,
    remoteAddress,
    drainTimeoutMs: parseDuration('drainTimeout', drainTimeout),
    tuning: pickSessionTuning(options)
  }
}

function parsePath(path: string): string {
  const directory = parseShmDirectory('path', path)
  return directory === undefined ? parseShmAddress('path', path) : `${directory}/`
}
