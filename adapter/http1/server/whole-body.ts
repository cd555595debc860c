import type { Lease } from '../wire.ts'

/**
 * A body that arrived in one piece, where it arrived: until somebody reads it, or, lent to a
 * collector, until that is done with it.
 */
export class WholeBody {
  readonly chunk: Buffer
  readonly lease: Lease
  lent = false

  constructor(chunk: Buffer, lease: Lease) {
    this.chunk = chunk
    this.lease = lease
    lease.hold()
  }

  /** Once. */
  end(): void {
    this.lease.drop()
  }
}
