import { EventEmitter } from 'node:events'
import { type FSWatcher, readdirSync, type Stats, statSync, watch } from 'node:fs'
import { join } from 'node:path'

/**
 * How often a directory is looked at anyway, in ms: one that is missing, or was replaced, tells
 * nobody, and the system may be out of watches.
 */
const SCAN_INTERVAL_MS = 500

export interface DirectoryWatchEvents {
  /** The sockets are others than before. */
  change: [sockets: readonly string[]]
}

/**
 * The sockets in a directory, as they come and go: `shm:///run/app/` means every one of them. Names
 * that begin with a dot are on their way in or out, and are passed over.
 */
export class DirectoryWatch extends EventEmitter<DirectoryWatchEvents> {
  readonly path: string
  #sockets: readonly string[] = []
  #problem: string | undefined
  #watcher: FSWatcher | undefined
  #inode = 0
  #scanning: NodeJS.Immediate | undefined
  readonly #timer: NodeJS.Timeout

  /** Looks at once: {@link sockets} holds what is there. Nothing of it keeps the process alive. */
  constructor(path: string) {
    super()
    this.path = path
    this.#scan()
    this.#timer = setInterval(() => this.#scan(), SCAN_INTERVAL_MS).unref()
  }

  /** Absolute paths, sorted. */
  get sockets(): readonly string[] {
    return this.#sockets
  }

  /** Why the directory cannot be used; then there are no sockets. */
  get problem(): string | undefined {
    return this.#problem
  }

  close(): void {
    clearInterval(this.#timer)
    clearImmediate(this.#scanning)
    this.#unwatch()
  }

  #scan(): void {
    const found = this.#find()
    if (found.length === this.#sockets.length && found.every((x, i) => x === this.#sockets[i])) {
      return
    }
    this.#sockets = found
    this.emit('change', found)
  }

  #find(): string[] {
    try {
      const stats = statSync(this.path)
      this.#problem = refusal(this.path, stats)
      if (this.#problem !== undefined) {
        this.#unwatch()
        return []
      }
      // First watched, then read: what comes between the two is not missed.
      if (this.#watcher === undefined || stats.ino !== this.#inode) this.#watch(stats.ino)
      return readdirSync(this.path, { withFileTypes: true })
        .filter((entry) => entry.isSocket() && !entry.name.startsWith('.'))
        .map((entry) => join(this.path, entry.name))
        .sort()
    } catch (error) {
      this.#unwatch()
      this.#problem = (error as Error).message
      return []
    }
  }

  #watch(inode: number): void {
    this.#unwatch()
    this.#inode = inode
    try {
      this.#watcher = watch(this.path, { persistent: false }, () => this.#scanSoon())
      this.#watcher.on('error', () => this.#unwatch())
    } catch {
      // Out of watches: the timer finds what changes, only later.
      this.#watcher = undefined
    }
  }

  /** One look for all that one turn of the event loop tells. */
  #scanSoon(): void {
    this.#scanning ??= setImmediate(() => {
      this.#scanning = undefined
      this.#scan()
    })
  }

  #unwatch(): void {
    this.#watcher?.close()
    this.#watcher = undefined
  }
}

/** Whoever may write to the directory gets a part of what is sent there. */
function refusal(path: string, stats: Stats): string | undefined {
  if (!stats.isDirectory()) return `${path} is not a directory`
  if ((stats.mode & 0o002) === 0) return undefined
  return `every user can place sockets in ${path}; run: chmod o-w ${path}`
}
