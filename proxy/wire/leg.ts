import type { Duplex } from 'node:stream'
import type { TransportLabel } from '../counters.ts'

/**
 * One side of the proxy as far as shared memory goes: a connection whose address is `shm://`, and
 * what of the current request travelled beside it.
 */
export class Leg {
  readonly #stream: Duplex & { readonly fallbackBytes?: number }
  readonly #transport: 'shm' | 'socket'
  #before = 0

  constructor(stream: Duplex, transport: 'shm' | 'socket') {
    this.#stream = stream
    this.#transport = transport
  }

  /** A request begins. */
  begin(): void {
    this.#before = this.#stream.fallbackBytes ?? 0
  }

  /** How the current request has travelled so far. */
  get label(): TransportLabel {
    if (this.#transport === 'socket') return 'socket'
    return this.#stream.fallbackBytes === this.#before ? 'shm' : 'fallback'
  }
}

/** The worse of both sides; `socket` when neither could have used shared memory. */
export function worseLabel(one: Leg | undefined, other: Leg | undefined): TransportLabel {
  if (one === undefined) return other === undefined ? 'socket' : other.label
  if (other === undefined) return one.label
  const labels = [one.label, other.label]
  if (labels.includes('socket')) return 'socket'
  return labels.includes('fallback') ? 'fallback' : 'shm'
}
