import { errors } from 'undici'

/** Called as undici calls it: with an error or null, and null. */
export type Callback = (error: Error | null, data: null) => void

/** What it means to end a dispatcher. */
export interface ShutdownOwner {
  /** Resolves when all requests under way have ended. */
  finish(): Promise<void>
  /** Resolves when nothing is left open. */
  release(): Promise<void>
  /** Fails what is under way. */
  abort(error: Error): void
}

/**
 * `close` and `destroy` of a dispatcher, in the forms and in the order undici's own have them: what
 * is closed is destroyed once all has ended, and closing what is destroyed is an error.
 */
export class Shutdown {
  closed = false
  destroyed = false
  readonly #owner: ShutdownOwner
  #aborted = false
  /** Of calls that wait for the end of what the first of them began. */
  #onClosed: Callback[] = []
  #onDestroyed: Callback[] | undefined

  constructor(owner: ShutdownOwner) {
    this.#owner = owner
  }

  /** @throws {errors.UndiciError} when nothing new is taken */
  check(): void {
    if (this.destroyed) throw new errors.ClientDestroyedError()
    if (this.closed) throw new errors.ClientClosedError()
  }

  close(callback: unknown): Promise<void> | void {
    if (callback === undefined) return promised((done) => this.close(done))
    const done = checkCallback(callback)
    if (this.destroyed) {
      queueMicrotask(() => done(new errors.ClientDestroyedError(), null))
      return
    }
    this.#onClosed.push(done)
    if (this.closed) return
    this.closed = true
    this.#owner.finish().then(() => {
      this.#end(() => tell(this.#onClosed))
    })
  }

  destroy(error: unknown, callback: unknown): Promise<void> | void {
    if (typeof error === 'function') return this.destroy(null, error)
    if (callback === undefined) return promised((done) => this.destroy(error, done))
    this.#end(checkCallback(callback))
    if (this.#aborted) return
    this.#aborted = true
    this.#owner.abort((error as Error | null | undefined) ?? new errors.ClientDestroyedError())
  }

  #end(done: Callback): void {
    if (this.destroyed) {
      if (this.#onDestroyed !== undefined) this.#onDestroyed.push(done)
      else queueMicrotask(() => done(null, null))
      return
    }
    // Before anybody is told of an end.
    this.destroyed = true
    const callbacks = [done]
    this.#onDestroyed = callbacks
    this.#owner.release().then(() => {
      this.#onDestroyed = undefined
      tell(callbacks)
    })
  }
}

function promised(begin: (done: Callback) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    begin((error) => (error === null ? resolve() : reject(error)))
  })
}

function checkCallback(callback: unknown): Callback {
  if (typeof callback === 'function') return callback as Callback
  throw new errors.InvalidArgumentError('invalid callback')
}

function tell(callbacks: readonly Callback[]): void {
  for (const callback of callbacks) queueMicrotask(() => callback(null, null))
}
