import { type FSWatcher, readFileSync, watch } from 'node:fs'
import { dirname } from 'node:path'

/** Editors and Kubernetes change a file in several steps; it is read when they are done, ms. */
const SETTLE_MS = 100

/**
 * Tells when a configuration is to be read again: on SIGHUP, and when its file has another text.
 * The directory is watched, not the file: most programs put a new file in its place.
 */
export class ConfigWatch {
  readonly #file: string
  readonly #changed: (cause: string) => void
  readonly #watcher: FSWatcher | undefined
  readonly #onSignal: () => void
  #text: string | undefined
  #settling: NodeJS.Timeout | undefined

  /** @param changed told why */
  constructor(file: string, changed: (cause: string) => void) {
    this.#file = file
    this.#changed = changed
    this.#text = this.#read()
    this.#onSignal = () => {
      this.#text = this.#read()
      changed('SIGHUP')
    }
    process.on('SIGHUP', this.#onSignal)
    try {
      this.#watcher = watch(dirname(file), { persistent: false }, () => this.#touch())
      this.#watcher.on('error', () => this.#watcher?.close())
    } catch {
      // Out of watches: SIGHUP is left.
    }
  }

  close(): void {
    clearTimeout(this.#settling)
    this.#watcher?.close()
    process.off('SIGHUP', this.#onSignal)
  }

  #touch(): void {
    clearTimeout(this.#settling)
    this.#settling = setTimeout(() => {
      const text = this.#read()
      // Something else in the directory has changed, or the file is gone for a moment.
      if (text === undefined || text === this.#text) return
      this.#text = text
      this.#changed('the file has changed')
    }, SETTLE_MS).unref()
  }

  #read(): string | undefined {
    try {
      return readFileSync(this.#file, 'utf8')
    } catch {
      return undefined
    }
  }
}
