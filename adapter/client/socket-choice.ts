import { DirectoryWatch } from '../shmipc/index.ts'

/** First and longest time a socket is passed over behind which nobody listened, in ms. */
const FIRST_PAUSE_MS = 100
const MAX_PAUSE_MS = 10_000

interface Pause {
  readonly ms: number
  readonly until: number
}

/**
 * The sockets of a directory, for a client that spreads what it sends: the least busy of those that
 * are not known to be dead.
 */
export class SocketChoice {
  readonly directory: string
  readonly #watch: DirectoryWatch
  /** Of sockets where nobody listened when they were last tried. */
  readonly #pauses = new Map<string, Pause>()
  /** Chosen last. */
  #last: string | undefined

  /**
   * @param directory without a slash at its end
   * @param onGone a socket was removed: its server takes nothing new
   */
  constructor(directory: string, onGone: (path: string) => void) {
    this.directory = directory
    this.#watch = new DirectoryWatch(directory)
    let known = this.#watch.sockets
    this.#watch.on('change', (sockets) => {
      const gone = known.filter((path) => !sockets.includes(path))
      known = sockets
      for (const path of gone) {
        this.#pauses.delete(path)
        onGone(path)
      }
    })
  }

  /** Why there is nothing to choose from. */
  get problem(): string {
    return this.#watch.problem ?? `there is no socket in ${this.directory}`
  }

  /**
   * The least busy; among equals, each in turn.
   *
   * @returns undefined when none is known to be alive, or new
   */
  alive(busy: (path: string) => number): string | undefined {
    const now = performance.now()
    const { sockets } = this.#watch
    let least = Number.POSITIVE_INFINITY
    let chosen: string | undefined
    const first = this.#last === undefined ? 0 : sockets.indexOf(this.#last) + 1
    for (let i = 0; i < sockets.length; i++) {
      const path = sockets[(first + i) % sockets.length] as string
      const pause = this.#pauses.get(path)
      if (pause !== undefined && pause.until > now) continue
      const load = busy(path)
      if (load >= least) continue
      least = load
      chosen = path
    }
    return chosen
  }

  /** As `alive`; else the one to be tried next. Undefined when the directory has none. */
  any(busy: (path: string) => number): string | undefined {
    const untilOf = (path: string) => this.#pauses.get(path)?.until ?? 0
    return (
      this.alive(busy) ??
      this.#watch.sockets.reduce<string | undefined>(
        (first, path) => (first === undefined || untilOf(path) < untilOf(first) ? path : first),
        undefined
      )
    )
  }

  /** Something is sent there: among equals, it is the turn of the others. */
  took(path: string): void {
    this.#last = path
  }

  /** Nobody listens there: it is passed over, for longer each time. */
  failed(path: string): void {
    const ms = Math.min((this.#pauses.get(path)?.ms ?? FIRST_PAUSE_MS / 2) * 2, MAX_PAUSE_MS)
    // Jitter: many clients must not come back together.
    this.#pauses.set(path, { ms, until: performance.now() + ms * (0.5 + Math.random()) })
  }

  worked(path: string): void {
    this.#pauses.delete(path)
  }

  close(): void {
    this.#watch.close()
  }
}
