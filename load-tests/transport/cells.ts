/** What is measured, and what is aimed at. */

/** `duplex` is shared memory too, through `node:stream` instead of the codecs' channel. */
export const TRANSPORTS = ['shm', 'duplex', 'socket'] as const
export type Transport = (typeof TRANSPORTS)[number]

export interface Load {
  readonly transport: Transport
  /** Of one message; the answer has as many. */
  readonly bytes: number
  /** The sender writes every byte of each message, the receiver reads each. */
  readonly touched: boolean
  /** Connections, or streams, that have a message under way. */
  readonly ways: number
  /** One more stream, whose reader takes little of what its writer would send. */
  readonly slowReader: boolean
}

/** `load` against `baseline`, in turns. */
export interface Cell {
  readonly group: string
  readonly title: string
  readonly load: Load
  readonly baseline: Load
  /** Least factor by which `load` should be faster. */
  readonly target: number | undefined
}

export interface Plan {
  readonly cells: readonly Cell[]
  /** Of each of a cell's two loads. */
  readonly rounds: number
  /** Least duration of a round, ms. */
  readonly roundMs: number
}

const KIB = 1024
const MIB = 1024 * KIB
const MANY = 64

/** Targets by size, each holding for larger messages until the next. */
const UNTOUCHED = { 64: 1, [64 * KIB]: 1.5, [MIB]: 20, [4 * MIB]: 40 } as const
const TOUCHED = { 64: 1, [64 * KIB]: 1.2, [MIB]: 5, [4 * MIB]: 5 } as const
const MANY_WAYS = { 64: 8, [64 * KIB]: 3 } as const

const ONE_WAY_SIZES = [64, KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 4 * MIB] as const
const MANY_WAYS_SIZES = [64, KIB, 4 * KIB, 16 * KIB, 64 * KIB] as const
const DUPLEX_SIZES = [64, 64 * KIB, MIB] as const
const QUICK_SIZES: readonly number[] = [64, 64 * KIB, MIB]

/** A message of 4 MiB should cost no more than this many of 64 B. */
const FLATNESS = 1.3
/** What others notice of a slow reader: nothing, as exactly as this is measured. */
const SLOW_READER_SHARE = 0.9

export function plan(quick: boolean): Plan {
  const wanted = (bytes: number) => !quick || QUICK_SIZES.includes(bytes)
  const cells: Cell[] = []
  for (const touched of [false, true]) {
    const targets = touched ? TOUCHED : UNTOUCHED
    for (const bytes of ONE_WAY_SIZES.filter(wanted)) {
      cells.push(
        againstSocket({ transport: 'shm', bytes, touched, ways: 1, slowReader: false }, targets)
      )
    }
  }
  for (const touched of [false, true]) {
    for (const bytes of MANY_WAYS_SIZES.filter(wanted)) {
      cells.push(
        againstSocket(
          { transport: 'shm', bytes, touched, ways: MANY, slowReader: false },
          MANY_WAYS
        )
      )
    }
  }
  for (const ways of [1, MANY]) {
    for (const bytes of DUPLEX_SIZES.filter(wanted)) {
      cells.push(
        againstSocket({ transport: 'duplex', bytes, touched: false, ways, slowReader: false }, {})
      )
    }
  }
  cells.push(flatness(), besideSlowReader())
  return quick ? { cells, rounds: 7, roundMs: 10 } : { cells, rounds: 41, roundMs: 25 }
}

function againstSocket(load: Load, targets: Readonly<Record<number, number>>): Cell {
  return {
    group: [
      load.ways === 1 ? 'one at a time' : `${load.ways} at a time`,
      load.touched ? 'written and read' : 'untouched',
      ...(load.transport === 'duplex' ? ['through node:stream'] : [])
    ].join(', '),
    title: sizeTitle(load.bytes),
    load,
    baseline: { ...load, transport: 'socket' },
    target: targets[load.bytes]
  }
}

function flatness(): Cell {
  const small: Load = { transport: 'shm', bytes: 64, touched: false, ways: 1, slowReader: false }
  return {
    group: 'shared memory alone, untouched',
    title: '4 MiB against 64 B',
    load: { ...small, bytes: 4 * MIB },
    baseline: small,
    target: 1 / FLATNESS
  }
}

function besideSlowReader(): Cell {
  const alone: Load = {
    transport: 'shm',
    bytes: 4 * KIB,
    touched: false,
    ways: MANY - 1,
    slowReader: false
  }
  return {
    group: `shared memory alone, ${MANY - 1} at a time`,
    title: '4 KiB, beside a slow reader against without',
    load: { ...alone, slowReader: true },
    baseline: alone,
    target: SLOW_READER_SHARE
  }
}

function sizeTitle(bytes: number): string {
  if (bytes >= MIB) return `${bytes / MIB} MiB`
  return bytes >= KIB ? `${bytes / KIB} KiB` : `${bytes} B`
}
