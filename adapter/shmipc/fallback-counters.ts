import type { NativeSession } from '../../native/index.ts'
import type { FallbackReason } from './session-statistics.ts'

/** What a session sent by its socket, and why. */
export class FallbackCounters {
  messages = 0
  bytes = 0
  readonly #reasons: Record<FallbackReason, number> = { noSlices: 0, ringFull: 0 }

  get reasons(): Readonly<Record<FallbackReason, number>> {
    return { ...this.#reasons }
  }

  sent(bytes: number): void {
    this.messages++
    this.bytes += bytes
  }

  /** A stream turns to the socket. */
  turned(native: NativeSession): void {
    const { sendBacklog = 0, queueCapacity = 0 } = native.statistics() ?? {}
    this.#reasons[sendBacklog >= queueCapacity ? 'ringFull' : 'noSlices']++
  }
}
