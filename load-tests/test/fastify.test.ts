import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { sharedMemory } from '../../adapter/index.ts'

const BENCH = fileURLToPath(new URL('../fastify/index.js', import.meta.url))
const skip = sharedMemory().addon === undefined ? 'no shared memory' : false

test('measures the app over both transports, and leaves nothing', { skip }, (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'shmesh-test-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [BENCH, '--quick', '--only', 'JSON'],
    { encoding: 'utf8', env: { ...process.env, TMPDIR: directory } }
  )

  assert.equal(stderr, '')
  assert.equal(status, 0, stdout)
  assert.match(
    stdout,
    /^\| JSON API (\| \d+\.\d\d ){3}\| [\d.]+-[\d.]+ \| 0\.50 \| (met|MISSED) \|$/m
  )
  assert.deepEqual(readdirSync(directory), [])
})
