import type { Clock, Watched } from '../../adapter/http1/codec.ts'
import type { Lease } from '../../adapter/shmipc/index.ts'
import type { Wire, WireOwner } from './wire.ts'

/** One direction of a tunnel: owns the wire it reads. */
class Direction implements WireOwner {
  readonly #from: Wire
  readonly #to: Wire
  readonly #moved: () => void
  readonly #closed: () => void
  #ended = false

  constructor(from: Wire, to: Wire, moved: () => void, closed: () => void) {
    this.#from = from
    this.#to = to
    this.#moved = moved
    this.#closed = closed
  }

  onBytes(chunk: Buffer, lease: Lease | undefined): void {
    this.#moved()
    this.#to.write('', chunk, '', lease)
    if (this.#to.blocked) this.#from.pause()
  }

  /** What the other direction writes here is gone: it may go on. */
  onDrain(): void {
    this.#moved()
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

/** When a tunnel through which nothing moves is given up. */
export interface TunnelIdle {
  readonly deadlines: Clock
  /** Milliseconds; 0 is never. */
  readonly limitMs: number
}

/** Breaks both wires when nothing has moved for too long. */
class IdleWatch implements Watched {
  expired = false
  readonly #idle: TunnelIdle
  readonly #expire: () => void
  #movedAt: number

  constructor(idle: TunnelIdle, expire: () => void) {
    this.#idle = idle
    this.#expire = expire
    idle.deadlines.watch(this)
    this.#movedAt = idle.deadlines.now
  }

  moved(): void {
    this.#movedAt = this.#idle.deadlines.now
  }

  sweep(now: number): void {
    const { limitMs } = this.#idle
    if (this.expired || limitMs === 0 || now - this.#movedAt <= limitMs) return
    this.expired = true
    this.#expire()
  }

  end(): void {
    this.#idle.deadlines.unwatch(this)
  }
}

/**
 * Joins two wires byte for byte after a protocol switch, with back-pressure and half-close. When
 * one breaks, so does the other.
 *
 * @param early what was read of each behind the switch
 * @param done called once, when both are closed; told whether that is because nothing moved
 */
export function tunnel(
  downstream: Wire,
  upstream: Wire,
  early: { readonly fromDownstream: Buffer; readonly fromUpstream: Buffer },
  idle: TunnelIdle,
  done: (timedOut: boolean) => void
): void {
  let open = 2
  const watch = new IdleWatch(idle, () => {
    downstream.destroy()
    upstream.destroy()
  })
  const moved = () => watch.moved()
  const closed = () => {
    if (--open > 0) return
    watch.end()
    done(watch.expired)
  }
  const down = new Direction(downstream, upstream, moved, closed)
  const up = new Direction(upstream, downstream, moved, closed)
  downstream.owner = down
  upstream.owner = up
  if (early.fromUpstream.length > 0) up.onBytes(early.fromUpstream, undefined)
  if (early.fromDownstream.length > 0) down.onBytes(early.fromDownstream, undefined)
  if (!upstream.blocked) downstream.resume()
  if (!downstream.blocked) upstream.resume()
}
