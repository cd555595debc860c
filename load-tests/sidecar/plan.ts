/** What is measured: contenders side by side, cell by cell. */
import type { Method } from '../demo/cells.ts'
import { isOutbound, OUTBOUND_BYTES, OUTBOUND_TITLES } from './outbound.ts'
import { LANES, SCENARIO_TITLES, SCENARIOS, type Scenario } from './scenarios.ts'

/** The ways from the client to the app, and from the app to others. */
export const CHAINS = [
  'tcp',
  'unix',
  'nginx',
  'nginx-tuned',
  'haproxy',
  'haproxy-tuned',
  'http-proxy',
  'shmesh-unix',
  'shmesh-shm',
  'shmesh-shm-log',
  'outbound-tcp',
  'outbound-nginx-tuned',
  'outbound-haproxy-tuned',
  'outbound-shmesh-tcp',
  'outbound-shmesh-unix',
  'outbound-shmesh-shm'
] as const
export type Chain = (typeof CHAINS)[number]

export const CHAIN_TITLES: Readonly<Record<Chain, string>> = {
  tcp: 'app, TCP',
  unix: 'app, Unix socket',
  nginx: 'nginx, Unix socket',
  'nginx-tuned': 'nginx tuned, Unix socket',
  haproxy: 'HAProxy, Unix socket',
  'haproxy-tuned': 'HAProxy tuned, Unix socket',
  'http-proxy': '@fastify/http-proxy, Unix socket',
  'shmesh-unix': 'shmesh, Unix socket',
  'shmesh-shm': 'shmesh, shared memory',
  'shmesh-shm-log': 'shmesh, shared memory, access log',
  ...OUTBOUND_TITLES
}

/** Stock and tuned: whichever costs less in a cell is the one to beat. */
export const PEERS: readonly Chain[] = ['nginx', 'nginx-tuned', 'haproxy', 'haproxy-tuned']

/**
 * How the app makes or takes the body. `buffer`: an ordinary Buffer; `alloc`: made in shared memory
 * for each response; `shared`: sent again and again. `stock`: Fastify's `{ parseAs: 'buffer' }`;
 * `held` and `request`: `shmesh.bufferParser()` by its `lifetime`.
 */
export type Kind = 'buffer' | 'alloc' | 'shared' | 'stock' | 'held' | 'request'

export const USUAL_KIND: Readonly<Record<Method, Kind>> = { GET: 'buffer', POST: 'stock' }
const OTHER_KINDS: Readonly<Record<Method, readonly Kind[]>> = {
  GET: ['alloc', 'shared'],
  POST: ['held', 'request']
}

export interface Contender {
  readonly chain: Chain
  readonly kind: Kind
}

export interface Cell {
  readonly method: Method
  readonly bytes: number
  readonly connections: number
  readonly driver: Driver
  /** Instead of requests of one method and size. */
  readonly scenario?: Scenario
  /** The app asks, through its sidecar. */
  readonly outbound?: true
  /** They take turns, round by round. */
  readonly contenders: readonly Contender[]
}

export type Extent = 'quick' | 'default' | 'full'
export type Driver = 'autocannon' | 'wrk'

export interface Plan {
  readonly extent: Extent
  readonly cells: readonly Cell[]
  readonly rounds: number
  /** ms */
  readonly roundMs: number
  /** Per contender of a cell, not counted; ms. */
  readonly warmUpMs: number
  /** Per chain, before all; ms. */
  readonly firstWarmUpMs: number
}

const KIB = 1024
const MIB = 1024 * KIB
export const SIZES: readonly number[] = [64, KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 4 * MIB]
const METHODS: readonly Method[] = ['GET', 'POST']
/** What the app does with smaller bodies makes no difference. */
const KIND_MATTERS_FROM_BYTES = 16 * KIB
export const SMALL_BYTES: number = 16 * KIB

/** Connections -> sizes. */
const MATRIX: Readonly<Record<Extent, Readonly<Record<number, readonly number[]>>>> = {
  quick: { 16: [64, 16 * KIB, 256 * KIB, MIB], 256: [64] },
  default: { 16: SIZES, 1: [64, 16 * KIB, MIB], 256: [64, 16 * KIB, 256 * KIB] },
  full: { 16: SIZES, 1: SIZES, 256: SIZES }
}
const TIMES: Readonly<Record<Extent, Omit<Plan, 'extent' | 'cells'>>> = {
  quick: { rounds: 3, roundMs: 400, warmUpMs: 100, firstWarmUpMs: 5000 },
  default: { rounds: 5, roundMs: 500, warmUpMs: 150, firstWarmUpMs: 8000 },
  full: { rounds: 11, roundMs: 2000, warmUpMs: 500, firstWarmUpMs: 15_000 }
}
const QUICK_CHAINS: readonly Chain[] = [
  'tcp',
  'nginx-tuned',
  'haproxy-tuned',
  'shmesh-unix',
  'shmesh-shm',
  'shmesh-shm-log'
]

/** wrk knows no Unix sockets; the rest is not judged by throughput. */
const WRK_CHAINS: readonly Chain[] = ['tcp', ...PEERS, 'shmesh-shm']

/** @param available chains this machine can run */
export function planOf(extent: Extent, available: readonly Chain[], wrk: boolean): Plan {
  const wanted = available.filter((chain) => extent !== 'quick' || QUICK_CHAINS.includes(chain))
  const chains = wanted.filter((chain) => !isOutbound(chain))
  const cells = METHODS.flatMap((method) => [
    ...Object.entries(MATRIX[extent]).flatMap(([connections, sizes]) =>
      sizes.map((bytes) => ({
        method,
        bytes,
        connections: Number(connections),
        driver: 'autocannon' as const,
        contenders: contendersOf(method, bytes, Number(connections), chains)
      }))
    ),
    ...(wrk && extent !== 'quick' ? SIZES : []).map((bytes) => ({
      method,
      bytes,
      connections: 16,
      driver: 'wrk' as const,
      contenders: chains
        .filter((chain) => WRK_CHAINS.includes(chain))
        .map((chain) => ({ chain, kind: USUAL_KIND[method] }))
    })),
    ...(extent === 'quick' ? [] : OUTBOUND_BYTES).map((bytes) => ({
      method,
      bytes,
      connections: 16,
      driver: 'autocannon' as const,
      outbound: true as const,
      contenders: wanted.filter(isOutbound).map((chain) => ({ chain, kind: USUAL_KIND[method] }))
    }))
  ])
  const scenarios = extent === 'quick' ? [] : SCENARIOS.map((one) => scenarioCell(one, chains))
  return { extent, cells: [...cells, ...scenarios], ...TIMES[extent] }
}

export function chainsOf({ cells }: Plan): Chain[] {
  const used = new Set(cells.flatMap(({ contenders }) => contenders.map(({ chain }) => chain)))
  return CHAINS.filter((chain) => used.has(chain))
}

export function cellTitle(cell: Omit<Cell, 'contenders'>): string {
  const { method, bytes, connections, driver, scenario, outbound = false } = cell
  if (scenario !== undefined) return `${SCENARIO_TITLES[scenario]} x ${connections}`
  const by = driver === 'wrk' ? ', wrk' : ''
  return `${outbound ? 'outbound ' : ''}${method} ${formatBytes(bytes)} x ${connections}${by}`
}

export function contenderTitle({ chain, kind }: Contender): string {
  const usual = Object.values(USUAL_KIND).includes(kind)
  return usual ? CHAIN_TITLES[chain] : `${CHAIN_TITLES[chain]}, ${KIND_TITLES[kind]}`
}

const KIND_TITLES: Readonly<Record<Kind, string>> = {
  buffer: 'Buffer',
  alloc: 'reply.shm.alloc',
  shared: 'app.shm.share',
  stock: 'parseAs buffer',
  held: 'bufferParser',
  request: "bufferParser, lifetime 'request'"
}

export function formatBytes(bytes: number): string {
  if (bytes >= MIB) return `${bytes / MIB} MiB`
  return bytes >= KIB ? `${bytes / KIB} KiB` : `${bytes} B`
}

function scenarioCell(scenario: Scenario, chains: readonly Chain[]): Cell {
  return {
    method: 'GET',
    bytes: 0,
    connections: LANES[scenario],
    driver: 'autocannon',
    scenario,
    contenders: chains
      .filter((chain) => chain !== 'shmesh-shm-log')
      .map((chain) => ({ chain, kind: USUAL_KIND.GET }))
  }
}

function contendersOf(
  method: Method,
  bytes: number,
  connections: number,
  chains: readonly Chain[]
): Contender[] {
  const usual = chains
    .filter((chain) => chain !== 'shmesh-shm-log' || (bytes <= SMALL_BYTES && connections === 16))
    .map((chain) => ({ chain, kind: USUAL_KIND[method] }))
  if (bytes < KIND_MATTERS_FROM_BYTES || !chains.includes('shmesh-shm')) return usual
  const other = OTHER_KINDS[method].map((kind) => ({ chain: 'shmesh-shm' as const, kind }))
  return [...usual, ...other]
}
