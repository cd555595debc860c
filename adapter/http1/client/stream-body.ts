import type { Readable } from 'node:stream'
import type { BodySink, BodySource } from './body-source.ts'

/** A stream was destroyed, without an error, before it had been read to its end. */
export class BodyClosedError extends Error {
  override readonly name: string = 'BodyClosedError'
}

/** What old streams, and those of other libraries, may lack. */
type AnyReadable = Pick<Readable, 'on' | 'off' | 'emit'> & Partial<Readable>

/** A request's body from a Node.js stream, also of the old kind. */
export class StreamBody implements BodySource {
  readonly #stream: AnyReadable
  #sink: BodySink | undefined
  /** It failed before anybody asked for it. */
  #error: Error | undefined
  #finished = false

  constructor(stream: Readable) {
    this.#stream = stream
    stream.on('error', this.#onError)
    const { _readableState: state } = stream as { _readableState?: { autoDestroy?: boolean } }
    // One that does not destroy itself at its end would keep what it has open.
    if (state?.autoDestroy !== true) stream.on('end', () => stream.destroy?.())
  }

  get length(): number | undefined {
    // Reads an end that is already there.
    if (typeof this.#stream.read === 'function') this.#stream.read(0)
    const {
      readableObjectMode,
      readableLength,
      _readableState: state
    } = this.#stream as never as {
      readableObjectMode?: boolean
      readableLength?: number
      _readableState?: { ended?: boolean }
    }
    return readableObjectMode === false && state?.ended === true ? readableLength : undefined
  }

  start(sink: BodySink): void {
    const stream = this.#stream
    this.#sink = sink
    if (this.#error !== undefined) {
      setImmediate(() => this.#finish(this.#error))
      return
    }
    stream.on('data', this.#onData)
    stream.on('end', this.#onEnd)
    stream.on('close', this.#onClose)
    stream.resume?.()
    // What has happened is not told again.
    if (stream.errored != null) setImmediate(this.#onError, stream.errored)
    else if (stream.readableEnded === true) setImmediate(this.#onEnd)
    if (stream.closed === true) setImmediate(this.#onClose)
  }

  resume(): void {
    if (!this.#finished) this.#stream.resume?.()
  }

  destroy(error?: Error): void {
    const stream = this.#stream
    this.#detach()
    if (stream.destroyed === true) return
    if (typeof stream.destroy === 'function') {
      // A stream destroyed with an error that nobody listens for would end the process.
      stream.on('error', NOTHING)
      stream.destroy(error)
    } else if (error !== undefined) {
      // The handler of the request may have told it.
      let told = false
      stream.on('error', () => {
        told = true
      })
      queueMicrotask(() => {
        if (!told) stream.emit('error', error)
      })
    }
  }

  readonly #onData = (chunk: string | Uint8Array): void => {
    try {
      if (this.#sink?.write(chunk) === false) this.#stream.pause?.()
    } catch (error) {
      this.#finish(error as Error)
    }
  }

  readonly #onEnd = (): void => this.#finish(undefined)

  readonly #onError = (error: Error): void => {
    if (this.#sink === undefined) this.#error = error
    else this.#finish(error)
  }

  readonly #onClose = (): void => {
    // 'close' may come before the 'error' that explains it.
    queueMicrotask(() => this.#finish(new BodyClosedError('the body was closed before its end')))
  }

  #finish(error: Error | undefined): void {
    if (this.#finished) return
    const sink = this.#sink
    this.#detach()
    if (error === undefined) sink?.end()
    else sink?.fail(error)
  }

  #detach(): void {
    if (this.#finished) return
    this.#finished = true
    const stream = this.#stream
    stream.off('data', this.#onData)
    stream.off('end', this.#onEnd)
    stream.off('close', this.#onClose)
    // Errors behind the end concern nobody, and must not end the process.
    stream.on('error', NOTHING)
    stream.off('error', this.#onError)
  }
}

const NOTHING = () => undefined
