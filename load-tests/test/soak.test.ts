import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { sharedMemory } from '../../adapter/index.ts'
import { fill, firstDifference } from '../soak/pattern.ts'
import { scriptsOf } from '../soak/script.ts'
import { growthOf } from '../soak/verdict.ts'

const SOAK = fileURLToPath(new URL('../soak/index.js', import.meta.url))
const skip = sharedMemory().addon === undefined ? 'no shared memory' : false

test('a short soak is clean and leaves nothing', { skip }, (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'shmesh-test-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [SOAK, '--messages', '20000', '--seed', '7'],
    { encoding: 'utf8', env: { ...process.env, TMPDIR: directory } }
  )

  assert.equal(stderr, '')
  assert.equal(status, 0, stdout)
  assert.match(stdout, /^[\d,]+ messages, \d+ stops, every byte as it was sent; seed 7$/m)
  assert.deepEqual(readdirSync(directory), [])
})

test('the pattern knows a byte, a stream and an offset that are not its own', () => {
  const bytes = Buffer.alloc(2_500_000)
  fill(bytes, 4_000_000_000, 123)
  assert.equal(firstDifference(bytes, 4_000_000_000, 123), -1)
  assert.equal(firstDifference(bytes.subarray(1_100_000), 4_000_000_000, 1_100_123), -1)

  bytes[2_400_000]! ^= 1
  assert.equal(firstDifference(bytes, 4_000_000_000, 123), 2_400_000)
  assert.ok(firstDifference(bytes, 4_000_000_001, 123) < 4)
  assert.ok(firstDifference(bytes, 4_000_000_000, 124) < 4)
})

test('a seed always means the same, and aborts and slow readers are among what it means', () => {
  assert.deepEqual(scriptsOf(42, 'shmesh'), scriptsOf(42, 'shmesh'))
  assert.notDeepEqual(scriptsOf(42, 'shmesh'), scriptsOf(43, 'shmesh'))

  const many = Array.from({ length: 300 }, (_, seed) => scriptsOf(seed, 'shmesh'))
  const both = many.flatMap(({ client, server }) => [client, server])
  assert.ok(both.some(({ abortsAfterBytes }) => abortsAfterBytes !== undefined))
  assert.ok(both.some(({ abortsAfterMessages }) => abortsAfterMessages !== undefined))
  assert.deepEqual(
    new Set(both.map(({ reading }) => reading)),
    new Set(['flowing', 'slow', 'hold'])
  )
  const sizes = both.flatMap(({ messages }) => messages)
  assert.ok(Math.min(...sizes) === 1 && Math.max(...sizes) > 256 * 1024)
  const plain = many.map((_, seed) => scriptsOf(seed, 'shmipc').server)
  assert.ok(plain.every((script) => script.abortsAfterBytes === undefined))
})

test('memory that grows to the end is reported, memory that grew at first is not', () => {
  const mebibyte = 1024 * 1024
  const series = (at: (share: number) => number) =>
    Array.from({ length: 100 }, (_, i) => at(i / 100) * mebibyte)

  assert.equal(growthOf(series((share) => 60 + 40 * Math.min(1, share / 0.2))), undefined)
  assert.match(growthOf(series((share) => 60 + 80 * share)) ?? '', /grew from \d+ MiB to \d+ MiB/)
  assert.equal(growthOf([1, 2, 1000 * mebibyte]), undefined)
})
