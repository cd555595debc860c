/** What the demo measures: each cell over each chain. */

export type Method = 'GET' | 'POST'

export interface Cell {
  readonly method: Method
  readonly bytes: number
}

/** The ways from the client to the app that are compared. */
export type Chain = 'tcp' | 'unix' | 'shm'

export const CHAIN_TITLES: Readonly<Record<Chain, string>> = {
  tcp: '(a) no proxy, TCP',
  unix: '(b) proxy, Unix socket',
  shm: '(c) proxy, shared memory'
}

/** How long each part takes. Every duration in ms. */
export interface Plan {
  readonly cells: readonly Cell[]
  readonly connections: number
  /** Per chain and cell; not counted. V8 compiles for a second or two: 16 KiB cost 1.8 times as much then. */
  readonly warmUpMs: number
  /** Each cell is measured this often over each chain, in turns. */
  readonly rounds: number
  readonly roundMs: number
  readonly chaosMs: number
}

const METHODS: readonly Method[] = ['GET', 'POST']

export function fullPlan(sizes: readonly number[]): Plan {
  return {
    cells: cellsOf(sizes),
    connections: 16,
    warmUpMs: 1000,
    rounds: 2,
    roundMs: 1500,
    chaosMs: 10_000
  }
}

/** Shows that everything works; too short for numbers to rely on. */
export function quickPlan(): Plan {
  return {
    cells: cellsOf([16 * 1024]),
    connections: 16,
    warmUpMs: 1500,
    rounds: 1,
    roundMs: 800,
    chaosMs: 5000
  }
}

export function cellTitle({ method, bytes }: Cell): string {
  return `${method} ${formatBytes(bytes)}`
}

function cellsOf(sizes: readonly number[]): Cell[] {
  return METHODS.flatMap((method) => sizes.map((bytes) => ({ method, bytes })))
}

function formatBytes(bytes: number): string {
  if (bytes >= 1024 * 1024) return `${bytes / 1024 / 1024} MiB`
  return bytes >= 1024 ? `${bytes / 1024} KiB` : `${bytes} B`
}
