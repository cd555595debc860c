import type { Duplex } from 'node:stream'
import { type Carrier, DuplexWire, type Wire, type WireOwner } from '../http1/index.ts'
import { ShmStream } from '../shmipc/index.ts'

/** A stream of shared memory without the Duplex over it; anything else as a socket. */
export function carrierOf(stream: Duplex): Carrier {
  return stream instanceof ShmStream ? new StreamCarrier(stream) : new DuplexWire(stream)
}

class StreamCarrier implements Carrier {
  readonly duplex: ShmStream

  constructor(stream: ShmStream) {
    this.duplex = stream
  }

  get retiring(): boolean {
    return this.duplex.retiring
  }

  takeOver(owner: WireOwner): Wire {
    return this.duplex.takeOver(owner)
  }

  giveBack(rest: Buffer): void {
    this.duplex.giveBack(rest)
  }

  ref(): void {
    this.duplex.ref()
  }

  unref(): void {
    this.duplex.unref()
  }
}
