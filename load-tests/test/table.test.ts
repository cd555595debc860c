import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Cell, Chain } from '../demo/cells.ts'
import { type Measurement, percentile } from '../demo/measure.ts'
import { formatTable, relativeCpu } from '../demo/table.ts'

const MEBIBYTE = 1024 * 1024
const get: Cell = { method: 'GET', bytes: 64 }
const post: Cell = { method: 'POST', bytes: MEBIBYTE }

test('shows each cell once with a line per chain', () => {
  const lines = formatTable([
    measure(get, 'tcp', { appCpuMs: 20 }),
    measure(get, 'shm', { appCpuMs: 10, proxyCpuMs: 15, transports: { shm: 2000, socket: 0 } }),
    measure(post, 'tcp', { errors: 3 })
  ]).split('\n')

  assert.deepEqual(
    lines.map((line) => line.trim().split(/ {2,}/)),
    [
      ['latency, ms', 'CPU µs/request', 'RSS, MiB'],
      ['req/s', 'p50', 'p99', 'proxy', 'app', 'sum', 'proxy', 'app', 'transport', 'errors'],
      ['GET 64 B'],
      ['(a) no proxy, TCP', '1,000', '0.50', '12.3', '-', '10.0', '10.0', '-', '80', '-', '0'],
      [
        ...['(c) proxy, shared memory', '1,000', '0.50', '12.3'],
        ...['7.50', '5.00', '12.5', '70', '80', 'shm 100 %', '0']
      ],
      ['POST 1 MiB'],
      ['(a) no proxy, TCP', '1,000', '0.50', '12.3', '-', '5.00', '5.00', '-', '80', '-', '3']
    ]
  )
  const [header, ...rows] = lines.slice(1).filter((line) => line.startsWith(' '))
  for (const row of rows) assert.equal(row.length, header!.length)
})

test('calls it 100 % only when every request travelled so', () => {
  const [row] = formatTable([
    measure(get, 'shm', { transports: { shm: 99_999, fallback: 1, socket: 0 } })
  ])
    .split('\n')
    .slice(-1)

  assert.match(row!, /shm 99\.9 %, fallback 0\.0 %/)
})

test('leaves out what this system cannot tell', () => {
  const unknown = { appCpuMs: undefined, appRssBytes: undefined, proxyRssBytes: undefined }
  const row = formatTable([measure(get, 'unix', unknown)])
    .split('\n')
    .at(-1)!

  assert.deepEqual(row.trim().split(/ {2,}/).slice(4, 9), ['7.50', '-', '-', '-', '-'])
  assert.equal(relativeCpu([measure(get, 'unix', unknown)], 'unix'), undefined)
})

test('compares with the same cell without proxy, as a geometric mean', () => {
  const measurements = [
    measure(get, 'tcp', { appCpuMs: 10 }),
    measure(get, 'shm', { appCpuMs: 10, proxyCpuMs: 30, requests: 1000 }),
    measure(post, 'tcp', { appCpuMs: 40 }),
    measure(post, 'shm', { appCpuMs: 10, proxyCpuMs: 10 })
  ]

  // 8 times the cost of one cell, half that of the other.
  assert.equal(relativeCpu(measurements, 'shm')?.toFixed(6), '2.000000')
  assert.equal(relativeCpu(measurements, 'unix'), undefined)
})

test('takes percentiles from real values', () => {
  const values = Float64Array.from({ length: 100 }, (_, i) => i + 1)

  assert.equal(percentile(values, 0.5), 50)
  assert.equal(percentile(values, 0.99), 99)
  assert.equal(percentile(values.subarray(0, 1), 0.99), 1)
  assert.ok(Number.isNaN(percentile(new Float64Array(0), 0.5)))
})

function measure(cell: Cell, chain: Chain, values: Partial<Measurement>): Measurement {
  return {
    cell,
    chain,
    requests: 2000,
    elapsedMs: 2000,
    p50Ms: 0.5,
    p99Ms: 12.34,
    proxyCpuMs: chain === 'tcp' ? undefined : 15,
    appCpuMs: 10,
    proxyRssBytes: chain === 'tcp' ? undefined : 70 * MEBIBYTE,
    appRssBytes: 80 * MEBIBYTE,
    transports: {},
    errors: 0,
    ...values
  }
}
