import type { ShmSession } from './session.ts'

const SHARED: unique symbol = Symbol('shmesh.shared')

/** Most payload of one slice of a chain: several readers begin before the last byte is copied. */
const MAX_SLICE_BYTES = 1024 * 1024

interface OwnMemory extends ArrayBuffer {
  [SHARED]?: SharedBody | undefined
}

/** A shared body as it lies in one session's memory. */
export interface SharedChain {
  /** Header offset and bytes of each slice, flat. */
  readonly spans: readonly number[]
  /** Lends the peer has not ended. */
  lends: number
}

/**
 * Bytes that are sent many times and copied to each session's memory once: there they are lent to
 * any number of streams. Whoever is reached by socket gets the private bytes.
 */
export class SharedBody {
  readonly buffer: Buffer
  readonly #chains = new Map<ShmSession, SharedChain>()
  #closed = false

  /** @param bytes copied: what becomes of them later changes nothing */
  constructor(bytes: Uint8Array) {
    const memory: OwnMemory = new ArrayBuffer(bytes.length)
    memory[SHARED] = this
    this.buffer = Buffer.from(memory)
    this.buffer.set(bytes)
  }

  /** The body `buffer` is the whole of. */
  static of(buffer: Buffer): SharedBody | undefined {
    const body = (buffer.buffer as OwnMemory)[SHARED]
    return body !== undefined && body.buffer.length === buffer.length ? body : undefined
  }

  /**
   * Its slices in a session, made when it is first asked for; undefined when there are none to be
   * had, or the peer knows no lending.
   */
  chainIn(session: ShmSession): SharedChain | undefined {
    if (this.#closed || session.peer === 'shmipc' || session.closed) return undefined
    const known = this.#chains.get(session)
    if (known !== undefined) return known
    const chain = copyTo(session, this.buffer)
    if (chain === undefined) return undefined
    this.#chains.set(session, chain)
    session.lent.keep(this)
    return chain
  }

  /** The peer has read it once more. */
  ended(session: ShmSession, chain: SharedChain): void {
    chain.lends--
    if (this.#closed && chain.lends === 0) this.#release(session, chain)
  }

  /** @internal A session with a copy of it is over. */
  forget(session: ShmSession): void {
    this.#chains.delete(session)
  }

  /** It is not shared any more: its slices go back when nobody reads them. Idempotent. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    for (const [session, chain] of this.#chains) {
      if (chain.lends === 0) this.#release(session, chain)
    }
  }

  #release(session: ShmSession, chain: SharedChain): void {
    this.#chains.delete(session)
    session.lent.drop(this)
    release(session, chain)
  }
}

function copyTo(session: ShmSession, bytes: Buffer): SharedChain | undefined {
  const chain = { spans: [] as number[], lends: 0 }
  for (let at = 0; at < bytes.length; at += MAX_SLICE_BYTES) {
    const part = bytes.subarray(at, at + MAX_SLICE_BYTES)
    const held = session.hold(part.length)
    if (held === undefined) {
      release(session, chain)
      return undefined
    }
    part.copy(held.view)
    chain.spans.push(held.slice, part.length)
  }
  return chain
}

function release(session: ShmSession, { spans }: SharedChain): void {
  if (session.closed) return
  for (let i = 0; i < spans.length; i += 2) session.native.release(spans[i]!)
}
