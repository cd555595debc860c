import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { sharedMemory } from '../../adapter/index.ts'
import { plan } from '../transport/cells.ts'
import { median, quantile } from '../transport/statistics.ts'

const BENCH = fileURLToPath(new URL('../transport/index.js', import.meta.url))
const skip = sharedMemory().addon === undefined ? 'no shared memory' : false

test('measures both transports, byte by byte, and leaves nothing', { skip }, (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'shmesh-test-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [BENCH, '--quick', '--only', '64 KiB'],
    { encoding: 'utf8', env: { ...process.env, TMPDIR: directory } }
  )

  assert.equal(stderr, '')
  assert.equal(status, 0, stdout)
  assert.equal(stdout.match(/^\| 64 KiB .* x \| .*(met|MISSED) \|$/gm)?.length, 4, stdout)
  assert.deepEqual(readdirSync(directory), [])
})

test('the quick plan measures fewer of the same cells', () => {
  const full = plan(false).cells.map(({ group, title }) => `${group} ${title}`)
  const quick = plan(true).cells.map(({ group, title }) => `${group} ${title}`)

  assert.ok(quick.length < full.length)
  assert.deepEqual(
    quick.filter((title) => !full.includes(title)),
    []
  )
})

test('quantiles lie between the neighbours', () => {
  assert.equal(median([3, 1, 2]), 2)
  assert.equal(median([4, 1, 2, 3]), 2.5)
  assert.equal(quantile([10, 20, 30, 40, 50], 0.25), 20)
  assert.equal(quantile([0, 10], 0.75), 7.5)
  assert.ok(Number.isNaN(median([])))
})
