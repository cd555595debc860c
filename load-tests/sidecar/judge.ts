/** What is aimed at, for every cell, and whether it was met. */
import type { Method } from '../demo/cells.ts'
import { median } from '../transport/statistics.ts'
import { type Measurement, spread, spreadOf } from './measure.ts'
import {
  type Chain,
  cellTitle,
  type Driver,
  type Kind,
  PEERS,
  SIZES,
  SMALL_BYTES,
  USUAL_KIND
} from './plan.ts'
import { ratios, type Value, type Verdict, verdict } from './verdict.ts'

const KIB = 1024
const MIB = 1024 * KIB
const CONNECTIONS = 16

interface Selection {
  readonly method: Method
  readonly bytes: number
  readonly chain: Chain
  readonly kind: Kind
  readonly connections?: number
  readonly driver?: Driver
}

/** Every rule for every cell it speaks of. */
export function judge(
  measurements: readonly Measurement[],
  idleSessions: readonly number[] = []
): Verdict[] {
  return [...new Judge(measurements).all(), ...judgeMemory(measurements, idleSessions)]
}

class Judge {
  readonly #measurements: readonly Measurement[]

  constructor(measurements: readonly Measurement[]) {
    this.#measurements = measurements
  }

  all(): Verdict[] {
    return [
      this.#mean("against the app over TCP: mean, Fastify's parsers", 'stock', 0.75, 0.9),
      this.#mean(
        "against the app over TCP: mean, bufferParser({ lifetime: 'request' })",
        'request',
        0.6,
        0.75
      ),
      ...this.#againstTcp(),
      ...this.#againstPeers(),
      ...this.#throughput(),
      ...this.#oneConnection(),
      ...this.#manyConnections()
    ]
  }

  #againstTcp(): Verdict[] {
    const small = both((bytes) => bytes <= SMALL_BYTES).map(({ method, bytes }) =>
      this.#cpu(
        'small, access log and tracing, against TCP',
        method,
        bytes,
        USUAL_KIND[method],
        [1, 1.25],
        ['tcp'],
        'shmesh-shm-log'
      )
    )
    const posts = SIZES.filter((bytes) => bytes >= 256 * KIB)
    const gets = SIZES.filter((bytes) => bytes >= 64 * KIB)
    const tcp: readonly Chain[] = ['tcp']
    return [
      ...small,
      ...posts.map((b) =>
        this.#cpu('our parser, against TCP', 'POST', b, 'request', [0.25, 0.3], tcp)
      ),
      ...posts.map((b) =>
        this.#cpu("Fastify's parser, against TCP", 'POST', b, 'stock', [0.5, 0.65], tcp)
      ),
      ...gets.map((b) =>
        this.#cpu('ordinary Buffer, against TCP', 'GET', b, 'buffer', [1.1, 1.4], tcp)
      ),
      ...gets.map((b) =>
        this.#cpu('shared body, against TCP', 'GET', b, 'shared', [0.8, 1.15], tcp)
      )
    ]
  }

  #againstPeers(): Verdict[] {
    const posts = SIZES.filter((bytes) => bytes >= 256 * KIB)
    const gets = SIZES.filter((bytes) => bytes >= 64 * KIB)
    return [
      ...both((bytes) => bytes <= SMALL_BYTES).map(({ method, bytes }) =>
        this.#cpu('against the better proxy', method, bytes, USUAL_KIND[method], [0.5, 0.6], PEERS)
      ),
      ...gets.map((b) =>
        this.#cpu('against the better proxy', 'GET', b, 'buffer', [0.4, 0.5], PEERS)
      ),
      ...posts.map((b) =>
        this.#cpu('our parser, against the better proxy', 'POST', b, 'request', [0.15, 0.2], PEERS)
      ),
      ...posts.map((b) =>
        this.#cpu(
          "Fastify's parser, against the better proxy",
          'POST',
          b,
          'stock',
          [0.3, 0.33],
          PEERS
        )
      )
    ]
  }

  #throughput(): Verdict[] {
    return both((bytes) => bytes <= MIB).flatMap(({ method, bytes }) => {
      const usual = { method, bytes, chain: 'shmesh-shm', kind: USUAL_KIND[method] } as const
      const byWrk = { ...usual, driver: 'wrk' } as const
      const driven = this.#find(usual)
      const limited = driven !== undefined && isLimitedByDriver(driven)
      const select = limited && this.#find(byWrk) !== undefined ? byWrk : usual
      const own = this.#find(select)
      const cell = titleOf(select)
      const faster = this.#best(select, PEERS, 'perSecond')
      const sooner = this.#best(select, PEERS, 'p99Ms')
      const rate = {
        rule: 'requests/s against the better proxy',
        cell,
        goal: 1.5,
        atLeast: 1.3,
        more: true
      }
      const late = { rule: 'p99 against the better proxy', cell, goal: 1, atLeast: 1, more: false }
      return [
        verdict(rate, ratios(own, faster, 'perSecond'), noteOf(faster)),
        verdict(late, ratios(own, sooner, 'p99Ms'), noteOf(sooner))
      ]
    })
  }

  #oneConnection(): Verdict[] {
    return both(() => true)
      .map(({ method, bytes }) => {
        const select = { method, bytes, kind: USUAL_KIND[method], connections: 1 }
        const own = this.#find({ ...select, chain: 'shmesh-shm' })
        const other = this.#find({ ...select, chain: 'shmesh-unix' })
        const cell = titleOf(select)
        const rule = {
          rule: 'p50 against shmesh over a Unix socket',
          cell,
          goal: 1,
          atLeast: 1,
          more: false
        }
        return verdict(rule, ratios(own, other, 'p50Ms'), '')
      })
      .filter(measured)
  }

  #manyConnections(): Verdict[] {
    return both(() => true)
      .map(({ method, bytes }) => {
        const select = { method, bytes, chain: 'shmesh-shm', kind: USUAL_KIND[method] } as const
        const many = this.#find({ ...select, connections: 256 })
        const few = this.#find(select)
        const cell = titleOf({ method, bytes, connections: 256 })
        const rule = {
          rule: 'CPU against 16 connections',
          cell,
          goal: 1.3,
          atLeast: 1.3,
          more: false
        }
        // Other rounds: only their medians can be compared.
        const value =
          many === undefined || few === undefined
            ? undefined
            : spread([spreadOf(many, 'cpu').median / spreadOf(few, 'cpu').median])
        return verdict(rule, value, '')
      })
      .filter(measured)
  }

  /** Geometric mean over all sizes; as far as they were measured. */
  #mean(rule: string, kind: Kind, goal: number, atLeast: number): Verdict {
    const logarithms = both(() => true).flatMap(({ method, bytes }) => {
      const usual = { method, bytes, chain: 'shmesh-shm', kind: USUAL_KIND[method] } as const
      // A kind that is not measured for a small body makes no difference there.
      const own =
        (method === 'POST' ? this.#find({ ...usual, kind }) : undefined) ?? this.#find(usual)
      const value = ratios(own, this.#find({ ...usual, chain: 'tcp' }), 'cpu')
      return value === undefined ? [] : [Math.log(value.median)]
    })
    const mean = Math.exp(logarithms.reduce((sum, one) => sum + one, 0) / logarithms.length)
    const value = logarithms.length === 0 ? undefined : spread([mean])
    const cell = `${logarithms.length} cells x ${CONNECTIONS}`
    return verdict({ rule, cell, goal, atLeast, more: false }, value, '')
  }

  #cpu(
    rule: string,
    method: Method,
    bytes: number,
    kind: Kind,
    [goal, atLeast]: readonly [number, number],
    against: readonly Chain[],
    chain: Chain = 'shmesh-shm'
  ): Verdict {
    const select = { method, bytes, kind, chain }
    const best = this.#best({ ...select, kind: USUAL_KIND[method] }, against, 'cpu')
    const cell = titleOf({ method, bytes })
    const value = ratios(this.#find(select), best, 'cpu')
    return verdict({ rule, cell, goal, atLeast, more: false }, value, noteOf(best))
  }

  /** The one of `chains` that did best. */
  #best(select: Selection, chains: readonly Chain[], value: Value): Measurement | undefined {
    const found = chains
      .map((chain) => this.#find({ ...select, chain }))
      .filter((one) => one !== undefined)
      .sort((a, b) => spreadOf(a, value).median - spreadOf(b, value).median)
    return value === 'perSecond' ? found.at(-1) : found[0]
  }

  #find({
    method,
    bytes,
    chain,
    kind,
    connections = CONNECTIONS,
    driver = 'autocannon'
  }: Selection): Measurement | undefined {
    return this.#measurements.find(
      (one) =>
        one.method === method &&
        one.bytes === bytes &&
        one.chain === chain &&
        one.kind === kind &&
        one.connections === connections &&
        one.driver === driver
    )
  }
}

function both(wanted: (bytes: number) => boolean): { method: Method; bytes: number }[] {
  return (['GET', 'POST'] as const).flatMap((method) =>
    SIZES.filter(wanted).map((bytes) => ({ method, bytes }))
  )
}

function titleOf({
  method,
  bytes,
  connections = CONNECTIONS,
  driver = 'autocannon'
}: Omit<Selection, 'chain' | 'kind'>): string {
  return cellTitle({ method, bytes, connections, driver })
}

function isLimitedByDriver({ rounds }: Measurement): boolean {
  return median(rounds.map(({ driverCpu = 0, cpu }) => driverCpu / cpu)) > 1
}

/** MiB of shared memory: a session nobody uses, and one that carries large bodies. */
function judgeMemory(
  measurements: readonly Measurement[],
  idleSessions: readonly number[]
): Verdict[] {
  const idle = idleSessions.length === 0 ? undefined : spread(idleSessions.map((b) => b / MIB))
  const loaded = measurements.filter(
    ({ chain, bytes, connections }) =>
      chain === 'shmesh-shm' && bytes === 4 * MIB && connections === CONNECTIONS
  )
  const peak = Math.max(
    ...loaded.flatMap(({ rounds }) => rounds.map(({ sessionBytes = 0 }) => sessionBytes / MIB))
  )
  const limit = (CONNECTIONS * 4 * MIB) / MIB + 32
  const rule = { more: false, cell: `4 MiB x ${CONNECTIONS}` }
  return [
    verdict(
      { ...rule, rule: 'MiB resident, session without load', cell: 'idle', goal: 2, atLeast: 2 },
      idle,
      ''
    ),
    verdict(
      { ...rule, rule: 'MiB resident, at most', goal: limit, atLeast: limit },
      loaded.length === 0 ? undefined : spread([peak]),
      'bodies under way + 32'
    )
  ]
}

function noteOf(other: Measurement | undefined): string {
  return other === undefined || other.chain === 'tcp' ? '' : other.chain
}

function measured({ value }: Verdict): boolean {
  return value !== undefined
}
