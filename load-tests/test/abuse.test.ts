import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { sharedMemory } from '../../adapter/index.ts'

const ABUSE = fileURLToPath(new URL('../abuse/index.js', import.meta.url))
const skip = sharedMemory().addon === undefined ? 'no shared memory' : false

test('killed and stopped, nothing is mixed up, hangs or is left behind', { skip }, (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'shmesh-test-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [ABUSE, '--rounds', '1', '--rate', '100'],
    { encoding: 'utf8', env: { ...process.env, TMPDIR: directory } }
  )

  assert.equal(stderr, '')
  assert.equal(status, 0, stdout)
  assert.match(stdout, /^the proxy is killed: \d+ lost, whole again after \d+ ms$/m)
  assert.match(stdout, /^\d+ whole, .* 0 wrong; seed \d+$/m)
  assert.deepEqual(readdirSync(directory), [])
})
