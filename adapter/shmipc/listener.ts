import { randomBytes } from 'node:crypto'
import { EventEmitter, once } from 'node:events'
import { createServer, type Server, Socket } from 'node:net'
import { getSystemErrorName } from 'node:util'
import { ShmError } from '../errors.ts'
import { checkBoolean, checkOptionNames, parseMemory } from '../options.ts'
import { parseSessionAddress } from './address.ts'
import { sharedMemoryOrWarn, warnOfSockets } from './availability.ts'
import { type ClaimedPath, type ClaimOptions, claimPath } from './bind.ts'
import { type Doorman, theDoorman } from './doorman.ts'
import { ShmSession } from './session.ts'
import {
  pinTo,
  type ResolvedSessionOptions,
  resolveSessionOptions,
  SESSION_OPTIONS,
  type SessionOptions
} from './session-options.ts'
import type { ShmStream } from './stream.ts'

export interface ListenOptions extends ClaimOptions, SessionOptions {
  /**
   * Unix socket: `shm:///run/x.sock` or an absolute path; or `shm://127.0.0.1:7000`, TCP on this
   * machine, where clients bring their memory in files. Port 0 is any free one.
   */
  readonly path: string
  /**
   * The largest shared memory a client may bring, with its unit. One that brings more is refused
   * and falls back to ordinary sockets.
   *
   * @defaultValue '3GiB', the most there can be
   */
  readonly memory?: string | undefined
}

const OPTIONS: readonly (keyof ListenOptions)[] = [
  'path',
  'mode',
  'group',
  'takeover',
  'memory',
  ...SESSION_OPTIONS
]

export interface ListenerEvents {
  /** A client opened a stream over shared memory. */
  stream: [stream: ShmStream]
  /** A client that does not speak shmipc, such as curl or nginx: nothing is read from it yet. */
  connection: [socket: Socket]
  session: [session: ShmSession]
  /** A client's handshake failed; it sees its socket close. */
  refused: [reason: string]
}

/** A client that is stopped must not keep a server from closing, ms. shmipc-go gives up then. */
const LEAVE_MS = 2000

interface ListenerOptions extends ResolvedSessionOptions {
  /** Bytes. */
  readonly maxMemory: number
}

/**
 * Accepts on a Unix socket. The first byte decides: a shmipc session, whose streams arrive as
 * `stream`, or anything else, which arrives as `connection`.
 */
export class ShmListener extends EventEmitter<ListenerEvents> {
  #path: string
  /** Told to plain shmipc clients; the same on all their sessions. */
  readonly #epoch = newEpoch()
  /** `socket` when shared memory cannot be had: everything then arrives as `connection`. */
  readonly transport: 'shm' | 'socket'
  readonly sessions: Set<ShmSession> = new Set()
  readonly #claim: ClaimedPath
  readonly #stop: () => Promise<void> | void
  #closed: Promise<void> | undefined

  /** @internal Listeners are made by {@link listen}. */
  constructor(
    path: string,
    claim: ClaimedPath,
    options: ListenerOptions,
    doorman: Doorman | undefined,
    server?: Server
  ) {
    super()
    this.#path = path
    this.#claim = claim
    this.transport = doorman === undefined ? 'socket' : 'shm'
    if (doorman !== undefined) {
      this.#stop = this.#accept(doorman, options)
      return
    }
    server!.on('connection', (socket) => this.#greet(socket))
    this.#stop = () => {
      server!.close()
    }
  }

  /** The socket's path, or its address and port. */
  get path(): string {
    return this.#path
  }

  /**
   * Stops accepting and removes the path. Sessions and sockets stay until their owner closes them:
   * `session.close()` lets their streams end.
   */
  close(): Promise<void> {
    this.#closed ??= (async () => {
      this.#claim.release()
      await this.#stop()
    })()
    return this.#closed
  }

  /**
   * Closes, and asks the clients of its sessions to begin nothing more here: resolves when they have
   * agreed, or after two seconds. What they began before is still to be served.
   */
  async leave(): Promise<void> {
    await this.close()
    await within(LEAVE_MS, Promise.all([...this.sessions].map((session) => session.leave())))
  }

  #accept(doorman: Doorman, options: ListenerOptions): () => void {
    const successor = () => (this.#claim.superseded ? this.#epoch : 0n)
    const bound = doorman.listen(this.#claim.bindPath, options.window, options.maxMemory, {
      onSession: (native) => {
        const session = new ShmSession(this.path, native, options, successor)
        if (session.failure !== undefined) {
          this.emit('refused', session.failure.message)
          return
        }
        this.sessions.add(session)
        session.once('close', () => this.sessions.delete(session))
        session.on('stream', (stream) => {
          if (!this.emit('stream', stream)) stream.destroy()
        })
        this.emit('session', session)
      },
      onPlain: (fd) => {
        this.#greet(new Socket({ fd, readable: true, writable: true, allowHalfOpen: true }))
      },
      onRefused: (reason) => this.emit('refused', reason)
    })
    if (typeof bound === 'number') throw listenError(getSystemErrorName(-bound), this.path)
    if (bound.port !== 0) this.#path = this.#path.replace(/\d+$/, `${bound.port}`)
    return bound.stop
  }

  #greet(socket: Socket): void {
    if (!this.emit('connection', socket)) socket.destroy()
  }
}

/**
 * Serves `options.path`. Without shared memory (no addon, no memfd, not Linux, `SHMESH_DISABLE=1`)
 * it warns once and serves the same path by ordinary sockets.
 *
 * @throws {InvalidArgumentError} for an option that is unknown or cannot be meant
 * @throws {ShmError} `SHM_ERR_ADDRESS`, `SHM_ERR_ADDRESS_IN_USE`, `SHM_ERR_PERMISSION`; nothing is
 *   left behind then
 */
export async function listen(options: ListenOptions): Promise<ShmListener> {
  checkOptionNames('listen', options, OPTIONS)
  checkBoolean('takeover', options.takeover ?? false)
  const { path, isLoopback } = parseSessionAddress('path', options.path)
  const resolved: ListenerOptions = {
    ...resolveSessionOptions(options),
    maxMemory: parseMemory('memory', options.memory ?? '3GiB')
  }
  const doorman = doormanOrWarn(options)
  const claim = isLoopback ? new ClaimedPort(path) : await claimPath(path, options)
  let listener: ShmListener | undefined
  let server: Server | undefined
  try {
    if (doorman === undefined) server = await listenBySocket(claim.bindPath, path)
    listener = new ShmListener(path, claim, resolved, doorman, server)
    await claim.publish()
    return listener
  } catch (error) {
    claim.release()
    await listener?.close()
    server?.close()
    throw error
  }
}

/** No file, no directory: whoever binds it first has it. */
class ClaimedPort implements ClaimedPath {
  readonly bindPath: string
  readonly superseded = false

  constructor(address: string) {
    this.bindPath = address
  }

  async publish(): Promise<void> {}

  release(): void {}
}

/** Not 0, and another one in each process. */
function newEpoch(): bigint {
  return randomBytes(8).readBigUInt64BE() | 1n
}

function doormanOrWarn({ cpus }: ListenOptions): Doorman | undefined {
  const { addon } = sharedMemoryOrWarn()
  if (addon === undefined) return undefined
  pinTo(addon, cpus)
  try {
    return theDoorman(addon)
  } catch (error) {
    warnOfSockets((error as Error).message)
    return undefined
  }
}

async function listenBySocket(bindPath: string, path: string): Promise<Server> {
  const server = createServer({ allowHalfOpen: true })
  try {
    const [, host, port] = /^([^/]*):(\d+)$/.exec(bindPath) ?? []
    if (host === undefined) server.listen(bindPath)
    else server.listen(Number(port), host)
    await once(server, 'listening')
    return server
  } catch (error) {
    throw listenError((error as NodeJS.ErrnoException).code ?? '', path, error)
  }
}

function listenError(code: string, path: string, cause?: unknown): ShmError {
  const kind = code === 'EACCES' || code === 'EPERM' ? 'SHM_ERR_PERMISSION' : 'SHM_ERR_ADDRESS'
  return new ShmError(kind, `cannot listen on ${path}: ${code}`, { cause })
}

function within(ms: number, work: Promise<unknown>): Promise<unknown> {
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise((resolve) => {
    timer = setTimeout(resolve, ms)
  })
  return Promise.race([work, timeout]).finally(() => clearTimeout(timer))
}
