/** Shared memory, or a copy of it, in an open file: `bytes` of it, from `base` on. */
export interface MemoryFile {
  readonly fd: number
  readonly base: number
  readonly bytes: number
}

/**
 * A slice is `unused` until its first use, `free` in the shared list, `pooled` with who allocates,
 * `queued` in a ring, `sent` when received and not returned, or lent.
 */
export type SliceState = 'unused' | 'free' | 'pooled' | 'queued' | 'sent'

/** What a session's memory says about it, to somebody who is not its peer. */
export interface MemoryImage {
  /** Of a shmesh client's region, in hexadecimal. */
  readonly epoch: string | null
  /** Payload bytes either end may use; null when the client is not shmesh. */
  readonly budget: number | null
  /** Ascending payload; slices by state. */
  readonly lists: readonly Readonly<Record<'payload' | 'capacity' | SliceState, number>>[]
  /** Client to server, server to client; `events` by kind. */
  readonly rings: readonly {
    readonly capacity: number
    readonly backlog: number
    readonly consumerAwake: boolean
    readonly events: Readonly<Record<string, number>>
  }[]
  /** Slices queued or sent, by list and stream; stream 0 when it is not known. */
  readonly holders: readonly {
    readonly list: number
    readonly stream: number
    readonly state: SliceState
    readonly slices: number
    readonly bytes: number
  }[]
  /** What should not be, a line each. */
  readonly problems: readonly string[]
}
