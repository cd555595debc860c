import type { Lease, Wire } from '../wire.ts'

/** What has come of a connection that nobody can take yet, and the brake that keeps it short. */
export class PendingInput {
  paused = false
  #bytes: Buffer | undefined
  #wire: Wire | undefined

  get empty(): boolean {
    return this.#bytes === undefined
  }

  /** What came while the wire was taken over may have paused it. */
  start(wire: Wire): void {
    this.#wire = wire
    if (this.paused) wire.pause()
  }

  /** Keeps a copy of what is lent, and has the rest wait where it arrives. */
  keep(chunk: Buffer, lease: Lease | undefined): void {
    const own = lease === undefined ? chunk : Buffer.from(chunk)
    this.#bytes = this.#bytes === undefined ? own : Buffer.concat([this.#bytes, own])
    this.pause()
  }

  take(): Buffer | undefined {
    const bytes = this.#bytes
    this.#bytes = undefined
    return bytes
  }

  clear(): void {
    this.#bytes = undefined
  }

  /** A request is over. See `Wire.settle`. */
  settle(): void {
    this.#wire?.settle()
  }

  pause(): void {
    if (this.paused) return
    this.paused = true
    this.#wire?.pause()
  }

  resume(): void {
    if (!this.paused) return
    this.paused = false
    this.#wire?.resume()
  }
}
