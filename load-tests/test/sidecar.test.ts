import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { sharedMemory } from '../../adapter/index.ts'
import { Progress } from '../demo/progress.ts'
import { Workspace } from '../demo/workspace.ts'
import { availableChains, startChain } from '../sidecar/chains.ts'
import { formatRegressions, regressions } from '../sidecar/history.ts'
import { judge } from '../sidecar/judge.ts'
import { Bench, type Measurement, type Round, spreadOf } from '../sidecar/measure.ts'
import { type Cell, type Chain, chainsOf, type Kind, type Plan, planOf } from '../sidecar/plan.ts'
import { drawPlots } from '../sidecar/plots.ts'
import { readCounters } from '../sidecar/process-counters.ts'
import { formatResults, formatVerdicts } from '../sidecar/report.ts'
import { SCENARIOS } from '../sidecar/scenarios.ts'

const linux = process.platform === 'linux'
const shm = sharedMemory().reason === undefined

const ROUND: Round = {
  requests: 1000,
  perSecond: 1000,
  p50Ms: 1,
  p99Ms: 2,
  p999Ms: 3,
  proxyUser: 5,
  proxySystem: 5,
  appUser: 5,
  appSystem: 5,
  cpu: 20,
  driverCpu: 10,
  switches: 1,
  wakeUps: undefined,
  kernelBytes: undefined,
  proxyRssBytes: undefined,
  appRssBytes: 1024 * 1024,
  sessionBytes: undefined,
  transports: {},
  errors: 0
}

function measured(
  method: Cell['method'],
  bytes: number,
  chain: Chain,
  kind: Kind,
  cpus: readonly number[],
  rest: Partial<Round> & { connections?: number } = {}
): Measurement {
  const { connections = 16, ...round } = rest
  return {
    method,
    bytes,
    chain,
    kind,
    connections,
    driver: 'autocannon',
    rounds: cpus.map((cpu) => ({ ...ROUND, ...round, cpu }))
  }
}

test('judges the paired rounds, not the medians of either side', () => {
  const verdicts = judge([
    measured('POST', 1024 * 1024, 'tcp', 'stock', [64, 128, 256]),
    measured('POST', 1024 * 1024, 'shmesh-shm', 'request', [18, 32, 80])
  ])
  const [own] = verdicts.filter(({ rule, value }) => /^our parser/.test(rule) && value)

  assert.deepEqual(own?.value, { median: 0.28125, low: 0.265625, high: 0.296875 })
  assert.equal(own?.verdict, 'at least')
})

test('compares with whichever of the other proxies does better', () => {
  const verdicts = judge([
    measured('GET', 64, 'nginx', 'buffer', [50], { perSecond: 900 }),
    measured('GET', 64, 'haproxy-tuned', 'buffer', [40], { perSecond: 800 }),
    measured('GET', 64, 'shmesh-shm', 'buffer', [20], { perSecond: 1260 })
  ]).filter(({ value }) => value !== undefined)

  assert.deepEqual(
    verdicts.map(({ rule, value, note, verdict }) => [rule, value!.median, note, verdict]),
    [
      ['against the better proxy', 0.5, 'haproxy-tuned', 'goal'],
      ['requests/s against the better proxy', 1.4, 'nginx', 'at least'],
      ['p99 against the better proxy', 1, 'nginx', 'goal']
    ]
  )
})

test('takes the geometric mean over the cells both measured', () => {
  const [mean] = judge([
    measured('GET', 64, 'tcp', 'buffer', [10]),
    measured('GET', 64, 'shmesh-shm', 'buffer', [20]),
    measured('POST', 1024, 'tcp', 'stock', [40]),
    measured('POST', 1024, 'shmesh-shm', 'stock', [20]),
    measured('POST', 4096, 'tcp', 'stock', [40])
  ])

  assert.equal(mean?.value?.median.toFixed(6), '1.000000')
  assert.equal(mean?.cell, '2 cells x 16')
  assert.equal(mean?.verdict, 'MISSED')
})

test('says what was not measured instead of judging it', () => {
  const verdicts = judge([])

  assert.ok(verdicts.length > 10)
  assert.deepEqual([...new Set(verdicts.map(({ verdict }) => verdict))], ['not measured'])
})

test('leaves out chains this machine has not, and keeps what the extent asks for', () => {
  const plan = planOf('quick', ['tcp', 'haproxy', 'shmesh-shm'], false)

  assert.deepEqual(chainsOf(plan), ['tcp', 'shmesh-shm'])
  assert.deepEqual(chainsOf(planOf('default', ['tcp', 'haproxy', 'shmesh-shm'], true)), [
    'tcp',
    'haproxy',
    'shmesh-shm'
  ])
  const large = plan.cells.find(({ method, bytes }) => method === 'POST' && bytes === 1024 * 1024)!
  assert.deepEqual(
    large.contenders.map(({ chain, kind }) => `${chain} ${kind}`),
    ['tcp stock', 'shmesh-shm stock', 'shmesh-shm held', 'shmesh-shm request']
  )
})

test('prints every contender and every verdict that has a value', () => {
  const measurements = [
    measured('GET', 64, 'tcp', 'buffer', [10, 12, 11]),
    measured('GET', 64, 'shmesh-shm', 'buffer', [20, 22, 24], { transports: { shm: 3, socket: 1 } })
  ]

  const results = formatResults(measurements)
  assert.match(results, /^\*\*GET 64 B x 16\*\*$/m)
  assert.match(results, /^\| app, TCP +\| +11\.0 \| 10\.5-11\.5 \|/m)
  assert.match(results, /^\| shmesh, shared memory \|.*shm 75\.0 %, socket 25\.0 %/m)
  assert.match(formatVerdicts(judge(measurements)), /\| +1 cells x 16 \| +2\.00 \|.*MISSED/)
})

test('counts what this process does', { skip: !linux }, () => {
  const before = readCounters(process.pid)
  const until = process.cpuUsage().user + 100_000
  while (process.cpuUsage().user < until);
  const after = readCounters(process.pid)

  assert.ok(after.userMicroseconds - before.userMicroseconds >= 80_000)
  assert.ok(after.rssBytes > 1024 * 1024)
  assert.ok(after.transferredBytes > before.transferredBytes)
})

test('drives each chain, compares every byte once, leaves nothing', { skip: !linux }, async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'shmesh-test-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  const workspace = new Workspace(directory)
  t.after(() => workspace.close())
  const chains = availableChains(shm).filter((chain) => !chain.endsWith('-tuned'))
  const kinds: Kind[] = ['stock', ...(shm ? (['held', 'request'] as const) : [])]
  const contenders = [
    ...chains.map((chain) => ({ chain, kind: 'stock' as const })),
    ...kinds.slice(1).map((kind) => ({ chain: 'shmesh-shm' as const, kind }))
  ]
  const cell: Cell = {
    method: 'POST',
    bytes: 64 * 1024,
    connections: 2,
    driver: 'autocannon',
    contenders
  }
  const plan: Plan = {
    extent: 'quick',
    cells: [cell],
    rounds: 1,
    roundMs: 500,
    warmUpMs: 10,
    firstWarmUpMs: 100
  }
  const running = await Promise.all(chains.map((chain) => startChain(workspace, chain)))
  const bench = new Bench(
    running,
    workspace.start('autocannon', './driver.js', []),
    workspace.start('scenarios', new URL('../sidecar/scenario-driver.js', import.meta.url).href, [])
  )

  assert.equal(await bench.warmUp(plan, new Progress()), 0)
  const measurements = await bench.measure(cell, plan, () => undefined)
  const usual = contenders.filter(
    ({ chain, kind }) => kind === 'stock' && (chain === 'tcp' || chain === 'shmesh-shm')
  )
  for (const scenario of SCENARIOS) {
    measurements.push(
      ...(await bench.measure({ ...cell, scenario, contenders: usual }, plan, () => undefined))
    )
  }
  assert.deepEqual(await workspace.stop(), [])
  workspace.close()

  assert.equal(measurements.length, contenders.length + SCENARIOS.length * usual.length)
  for (const measurement of measurements) {
    const [round] = measurement.rounds
    assert.equal(round?.errors, 0, `${measurement.chain} ${measurement.scenario}`)
    assert.ok(round.requests > 0, measurement.chain)
    assert.ok(spreadOf(measurement, 'p99Ms').median > 0)
    if (measurement.chain === 'shmesh-shm') {
      if (measurement.scenario === undefined) {
        assert.deepEqual(
          Object.keys(round.transports).filter((l) => round.transports[l]! > 0),
          ['shm']
        )
      }
      assert.ok(round.sessionBytes! > 0)
    }
  }
  assert.deepEqual(readdirSync(directory), [])
})

test('judges by wrk where autocannon takes more than what it measures', () => {
  const rates = (perSecond: number, driver: 'autocannon' | 'wrk'): Measurement[] =>
    [
      measured('GET', 64, 'nginx', 'buffer', [40], { perSecond: 1000 }),
      measured('GET', 64, 'shmesh-shm', 'buffer', [20], { perSecond, driverCpu: 21 })
    ].map((one) => ({ ...one, driver }))
  const rateOf = (measurements: Measurement[]) =>
    judge(measurements).find(({ rule, value }) => /^requests/.test(rule) && value !== undefined)

  const both = rateOf([...rates(1100, 'autocannon'), ...rates(1600, 'wrk')])
  assert.equal(both?.cell, 'GET 64 B x 16, wrk')
  assert.equal(both.verdict, 'goal')
  assert.equal(rateOf(rates(1100, 'autocannon'))?.verdict, 'MISSED')
})

test('names what costs more than before, and not what a busier machine makes dearer', () => {
  const run = (alone: number, own: readonly number[]) => [
    measured('GET', 64, 'tcp', 'buffer', [alone, alone, alone]),
    measured('GET', 64, 'shmesh-shm', 'buffer', own)
  ]
  const before = run(10, [20, 20, 20])

  assert.deepEqual(regressions(before, run(20, [41, 42, 40])), [])
  assert.deepEqual(regressions(before, run(10, [15, 23, 30])), [])
  const [change] = regressions(before, run(10, [23, 24, 25]))
  assert.equal(change?.cell, 'GET 64 B x 16')
  assert.match(formatRegressions([change!]), /2\.00 \(2\.00-2\.00\) -> 2\.40 \(2\.35-2\.45\)/)
})

test('draws a line per chain, and none for a single size', () => {
  const at = (bytes: number, chain: Chain, cpu: number) =>
    measured('GET', bytes, chain, 'buffer', [cpu])
  const plots = drawPlots([
    at(64, 'tcp', 10),
    at(1024, 'tcp', 100),
    at(64, 'shmesh-shm', 10),
    at(1024, 'shmesh-shm', 1000),
    measured('POST', 64, 'tcp', 'stock', [10])
  ])

  assert.deepEqual([...plots.keys()], ['cpu-get', 'latency-get'])
  const cpu = plots.get('cpu-get')!
  assert.equal(cpu.match(/<polyline/g)?.length, 2)
  const [alone, own] = [...cpu.matchAll(/<polyline points="([^"]+)"/g)].map(([, points]) =>
    points!.split(' ').map((point) => point.split(',').map(Number) as [number, number])
  )
  assert.deepEqual(alone![0], own![0])
  // Ten times as much is twice as far up when the axis is logarithmic.
  const rise = (points: [number, number][]) => points[0]![1] - points[1]![1]
  assert.ok(Math.abs(rise(own!) / rise(alone!) - 2) < 0.01)
})
