import { Duplex } from 'node:stream'

/** A connection whose other end is the test: it reads what is given, and what it writes is dropped. */
export class InMemoryWire extends Duplex {
  constructor() {
    super({ allowHalfOpen: true })
  }

  /** Everything that comes over the wire, then its end. */
  deliver(bytes: Buffer): void {
    this.push(bytes)
    this.push(null)
  }

  override _read(): void {}

  override _write(_chunk: Buffer, _encoding: string, done: () => void): void {
    done()
  }

  // What node:http expects of a socket.
  setTimeout(): this {
    return this
  }

  setNoDelay(): this {
    return this
  }

  setKeepAlive(): this {
    return this
  }

  ref(): this {
    return this
  }

  unref(): this {
    return this
  }
}
