import type { Lease } from '../../adapter/shmipc/index.ts'
import type { Wire, WireOwner } from './wire.ts'

/** One direction of a tunnel: owns the wire it reads. */
class Direction implements WireOwner {
  readonly #from: Wire
  readonly #to: Wire
  readonly #closed: () => void
  #ended = false

  constructor(from: Wire, to: Wire, closed: () => void) {
    this.#from = from
    this.#to = to
    this.#closed = closed
  }

  onBytes(chunk: Buffer, lease: Lease | undefined): void {
    this.#to.write('', chunk, '', lease)
    if (this.#to.blocked) this.#from.pause()
  }

  /** What the other direction writes here is gone: it may go on. */
  onDrain(): void {
    this.#to.resume()
  }

  onEnd(): void {
    this.#ended = true
    this.#to.end()
  }

  onClose(error: Error | undefined): void {
    if (!this.#ended || error !== undefined || this.#from.blocked) this.#to.destroy()
    this.#closed()
  }
}

/**
 * Joins two wires byte for byte after a protocol switch, with back-pressure and half-close. When
 * one breaks, so does the other.
 *
 * @param early what was read of each behind the switch
 * @param done called once, when both are closed
 */
export function tunnel(
  downstream: Wire,
  upstream: Wire,
  early: { readonly fromDownstream: Buffer; readonly fromUpstream: Buffer },
  done: () => void
): void {
  let open = 2
  const closed = () => {
    if (--open === 0) done()
  }
  const down = new Direction(downstream, upstream, closed)
  const up = new Direction(upstream, downstream, closed)
  downstream.owner = down
  upstream.owner = up
  if (early.fromUpstream.length > 0) up.onBytes(early.fromUpstream, undefined)
  if (early.fromDownstream.length > 0) down.onBytes(early.fromDownstream, undefined)
  if (!upstream.blocked) downstream.resume()
  if (!downstream.blocked) upstream.resume()
}
