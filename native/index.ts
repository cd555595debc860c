/**
 * The native core's face: its types, and the loader. What the methods do is said in
 * native/src/node/.
 */
import { createRequire } from 'node:module'
import process from 'node:process'
import type { MemoryFile, MemoryImage } from './memory-image.ts'

/** One established session. Methods called per message check nothing: callers do. */
export interface NativeSession {
  /**
   * Begins to deliver. `words` receives arrived events, `spans` the slices of `allocate`.
   *
   * @param onEvents called with the number of words filled; from the event loop
   * @param onCorrupt the peer broke the memory's rules; destroy the session
   * @param onPolling a plain shmipc peer sleeps: send it a Polling message
   * @param wakeUp `event`, the default: the peer wakes us, except while messages follow each other
   *   so closely that it is cheaper to stay awake. `poll`: before we sleep we look for events for up
   *   to 50 µs, less when that was in vain; it needs a processor to spare. `interval`: we look every
   *   `intervalMs` and the peer never pays for a wake-up
   * @returns 0, or why the event loop cannot wait for the peer: a negative errno; close it then
   */
  start(
    words: Uint32Array,
    spans: Uint32Array,
    onEvents: (words: number) => void,
    onCorrupt: (reason: string) => void,
    onPolling: () => void,
    wakeUp?: 'event' | 'poll' | 'interval',
    intervalMs?: number
  ): number
  /** File descriptor of the control socket; the caller closes it. Once. */
  takeControl(): number
  /** Bytes the kernel holds of that socket: arrived and not read by us, ... */
  unreadControl(fd: number): number
  /** ... and sent and not read by the peer. */
  unsentControl(fd: number): number
  /** The shared region. Detached, so empty, after `unmap`. */
  memory(): ArrayBuffer
  /** `bytes` of the region from `offset` on, as an ArrayBuffer of its own. */
  expose(offset: number, bytes: number): ArrayBuffer
  /** Empties what `expose` returned, and every view of it. */
  detach(memory: ArrayBuffer): void
  describe(): NativeDescription
  /** Takes slices for up to `bytes`; returns how many, as [payload offset, bytes] in `spans`. */
  allocate(bytes: number): number
  /** Publishes the slices of the last `allocate`. False: the ring is full, and they are freed. */
  send(stream: number): boolean
  /**
   * Takes one slice with room for `bytes`. Returns its header offset, or 0 when there is none;
   * `sliceHeaderBytes` behind it the payload begins. It is held until sent or released. Nor is there
   * one when more than `most` bytes, below 4 GiB, would be in use then.
   */
  hold(bytes: number, most: number): number
  /**
   * Publishes `count` held slices, as [header offset, bytes] in `spans`. With status 0 they are
   * given away. With status 5 they are lent: the peer reads and never returns them, the same chain
   * may be lent on any number of streams at once, and it is held, not lent, when as many events of
   * status 6 with its first slice have come. False: the ring is full; the slices are held as before.
   *
   * @throws {Error} a slice is not held, or lent as part of another chain or of other bytes
   */
  sendHeld(stream: number, status: 0 | 5, count: number): boolean
  /** Allocates, copies, publishes. Returns the bytes taken, fewer when slices are short. */
  write(stream: number, bytes: Uint8Array, offset: number, length: number): number
  /**
   * `write` of one slice: `head` as latin1 and `body` behind it, a string as UTF-8. `room` is at
   * least their bytes and one. 0: no slice holds as much, or the ring is full.
   */
  writeText(
    stream: number,
    head: string,
    body: string | Uint8Array | undefined,
    room: number
  ): number
  /** Publishes an event without slices. False: the ring is full. */
  signal(stream: number, status: number, value: number): boolean
  /**
   * Gives back a received or held slice, by its header offset; of a slice lent to us, ends one
   * borrow.
   *
   * @throws {Error} it is neither, or it is lent out
   */
  release(slice: number): void
  /** `release` of each of the first `count` of them. */
  releaseAll(slices: Uint32Array, count: number): void
  /** Drains the ring now. */
  poll(): void
  /** Wakes the peer for what was published in this turn, now and not at its end. */
  wakePeer(): void
  /**
   * Whether bytes copied from `memory` until now were the peer's. False when it has truncated
   * memory that is not sealed; `onCorrupt` is called then.
   */
  intact(): boolean
  /** The slices somebody has, at most `most`, those longest with their holder first. */
  holders(most: number): NativeHolder[]
  statistics(): NativeStatistics | undefined
  /** Ends the session and closes every descriptor but the control socket's. Idempotent. */
  close(): void
  /** Frees the memory, when nobody refers to it any more. After `close`. Idempotent. */
  unmap(): void
}

export interface NativeDescription {
  readonly client: boolean
  /** Both ends are shmesh: one allocates from each list, and there are credit, FIN and RESET. */
  readonly owned: boolean
  /** Bytes a stream may send before the peer gives credit; 0 when the peer knows no credit. */
  readonly peerWindow: number
  /** Length `words` must have for one message to fit. */
  readonly maxEventWords: number
  /** The peer cannot truncate the memory. If it can, copy first and ask `intact` then. */
  readonly sealed: boolean
  /** Slices one message, so one `allocate`, has at most. */
  readonly slices: number
  /** From a slice's offset to its payload. */
  readonly sliceHeaderBytes: number
  /** Payload bytes either end may have allocated. */
  readonly budget: number
  /** Payload of the largest slice `hold` can give. */
  readonly maxSliceBytes: number
  /** Process at the other end as the kernel reported it; 0 when it is not in our pid namespace. */
  readonly peerPid: number
}

/** One slice that is neither free nor in a list. */
export interface NativeHolder {
  /** Header offset. */
  readonly slice: number
  /** Bytes. */
  readonly payload: number
  /**
   * `held`: allocated, not sent. `lent`: sent and not returned. `lentOut`: ours, and the peer may
   * read it. `borrowed`: the peer's, not returned. `onLoan`: the peer's, which we may read.
   */
  readonly state: 'held' | 'lent' | 'lentOut' | 'borrowed' | 'onLoan'
  /** 0 while `held`. */
  readonly stream: number
  /** Since it came into this state. */
  readonly ageMs: number
}

export interface ListStatistics {
  /** Who allocates from it. */
  readonly role: 'ours' | 'peers' | 'shared'
  /** Bytes of a slice's payload. */
  readonly payload: number
  /** Slices. */
  readonly capacity: number
  /** Slices ever used: the others take no memory. */
  readonly touched: number
  /** allocated = freed + held + lent, for our lists. */
  readonly allocated: number
  readonly freed: number
  /** Allocated and not sent. */
  readonly held: number
  /** Sent and not returned. */
  readonly lent: number
  /** The peer's, received and not returned. */
  readonly borrowed: number
  /** Age and stream of the slice that is longest in each state; absent when there is none. */
  readonly oldestHeldMs?: number
  readonly oldestHeldStream?: number
  readonly oldestLentMs?: number
  readonly oldestLentStream?: number
  readonly oldestBorrowedMs?: number
  readonly oldestBorrowedStream?: number
}

export interface NativeStatistics {
  readonly lists: readonly ListStatistics[]
  /** Payload bytes this end may have allocated. */
  readonly budget: number
  /** Payload bytes of our slices held or lent. */
  readonly bytesInUse: number
  /** Payload bytes of the peer's slices with us. */
  readonly bytesBorrowed: number
  /** Bytes of idle slices given back to the system, in all. */
  readonly punchedBytes: number
  /** Slices a plain shmipc peer was sent and has not returned, or took itself; 0 between shmesh ends. */
  readonly withPeer: number
  /** Lends the peer has not ended. */
  readonly lentOut: number
  readonly wakesSent: number
  /** The peer was awake: no system call. */
  readonly wakesSuppressed: number
  readonly wakesReceived: number
  /** Waits without sleep that ended with an event, and those that ended with their time. */
  readonly spinHits: number
  readonly spinMisses: number
  readonly eventsSent: number
  readonly eventsReceived: number
  readonly allocationFailures: number
  readonly ringFull: number
  /** Events in the ring, not yet taken. */
  readonly sendBacklog: number
  readonly receiveBacklog: number
  /** Events either ring has room for. */
  readonly queueCapacity: number
  /** The peer looks at its ring without being woken. */
  readonly peerAwake: boolean
  /** We do. */
  readonly awake: boolean
  /** Bytes of both regions, most of which were never touched, ... */
  readonly mappedBytes: number
  /** ... and those that take memory now, whoever touched them. */
  readonly residentBytes: number
}

/** Accepts and dials on a thread of its own. */
export interface NativeDoorman {
  /**
   * Binds a path or an address such as `127.0.0.1:80`, and listens. Returns a negative errno, or the
   * port, 0 for a path. Sessions whose slices have more than `maxMemory` bytes are refused.
   */
  listen(id: number, address: string, window: number, maxMemory: number): number
  stopListening(id: number): void
  /** @param sharing 0: memfd; 1: files; 2: files, by version 2 of the protocol */
  connect(
    id: number,
    address: string,
    memory: number,
    queueCapacity: number,
    window: number,
    sharing: 0 | 1 | 2
  ): void
  /** Keeps the process alive. Not referenced at first. */
  ref(): void
  unref(): void
}

/**
 * @param fd of a client that speaks no shmipc, or -1; the callee closes it
 * @param errno not 0 when connect(2) failed: nobody listens
 * @param inspects `fd` is of somebody who may ask what this process holds in shared memory, and does
 */
export type OnArrival = (
  id: number,
  session: NativeSession | null,
  fd: number,
  error: string,
  errno: number,
  inspects: boolean
) => void

export interface Addon {
  readonly Doorman: new (onArrival: OnArrival) => NativeDoorman
  /** @param shmesh the client is, as its regions' names tell */
  inspectMemory(buffers: MemoryFile, queues: MemoryFile, shmesh: boolean): MemoryImage
  /**
   * Writes a copy into a file, sparse as the original: all of it, or headers without payloads.
   * Returns why not, or ''.
   */
  copyImage(from: MemoryFile, to: number, base: number, all: boolean): string
  /** Connects; returns who listens there, or an errno. The caller closes `fd`. */
  dial(path: string): { readonly fd: number; readonly pid: number; readonly uid: number } | number
  /**
   * Lets every thread of this process run on these processors only. Returns 0 or a negative errno:
   * EINVAL when none of them may be used.
   */
  pin(cpus: readonly number[]): number
  /** Why this kernel has no sealed shared memory; empty when it has. */
  probe(): string
  /**
   * Writes to a socket what it takes at once: `before` and `after` as latin1, at most 16 KiB
   * together, and `body` between them; without it, `before` alone. Returns how many bytes went; 0
   * also when the socket is broken, which a write of its owner's then finds out.
   */
  sendNow(fd: number, before: string, body: Uint8Array | undefined, after: string): number
}

/** Where the addon may be: this checkout's build first, then what the package ships. */
const CANDIDATES: readonly string[] = [
  '#build/Release/shm.node',
  `#prebuilds/${process.platform}-${process.arch}/shm.node`,
  `#prebuilds/${process.platform}-${process.arch}-musl/shm.node`
]

/**
 * Loads the addon.
 *
 * @throws {Error} when none fits this platform; the message says which were tried and why not
 */
export function loadAddon(): Addon {
  const require = createRequire(import.meta.url)
  const reasons: string[] = []
  for (const candidate of CANDIDATES) {
    try {
      return require(candidate) as Addon
    } catch (error) {
      const reason = (error as Error).message.split('\n')[0]
      reasons.push(`${candidate.slice(1)}: ${reason}`)
    }
  }
  throw new Error(
    `no native addon for ${process.platform}-${process.arch} (Node ${process.version}). Tried ${reasons.join('; ')}`
  )
}
