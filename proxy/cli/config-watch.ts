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
  #changed: ((cause: string) => void) | undefined
  /** Why it is to be read again, while there is nobody to be told. */
  #untold: string | undefined
  readonly #watcher: FSWatcher | undefined
  readonly #onSignal: () => void
  #text: string | undefined
  #settling: NodeJS.Timeout | undefined

  constructor(file: string) {
    this.#file = file
    this.#text = this.#read()
    this.#onSignal = () => {
      this.#text = this.#read()
      this.#tell('SIGHUP')
    }
    process.on('SIGHUP', this.#onSignal)
    try {
      this.#watcher = watch(dirname(file), { persistent: false }, () => this.#touch())
      this.#watcher.on('error', () => this.#watcher?.close())
    } catch {
      // Out of watches: SIGHUP is left.
    }
  }

  /** @param changed told why, at once when there has been a reason since the construction */
  onChange(changed: (cause: string) => void): void {
    this.#changed = changed
    if (this.#untold !== undefined) changed(this.#untold)
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
      this.#tell('the file has changed')
    }, SETTLE_MS).unref()
  }

  #tell(cause: string): void {
    if (this.#changed === undefined) this.#untold = cause
    else this.#changed(cause)
  }

  #read(): string | undefined {
    try {
      return readFileSync(this.#file, 'utf8')
    } catch {
      return undefined
    }
  }
}
