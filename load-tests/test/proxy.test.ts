import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { sharedMemory } from '../../adapter/index.ts'

const LOAD_TEST = fileURLToPath(new URL('../proxy/index.js', import.meta.url))
const skip = sharedMemory().addon === undefined ? 'no shared memory' : false

function run(t: TestContext, args: readonly string[]) {
  const directory = mkdtempSync(join(tmpdir(), 'shmesh-test-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  const env = { ...process.env, TMPDIR: directory }
  const done = spawnSync(process.execPath, [LOAD_TEST, ...args], { encoding: 'utf8', env })
  assert.deepEqual(readdirSync(directory), [])
  return done
}

test('requests with bodies all succeed while a proxy is reloaded and drained', { skip }, (t) => {
  const { status, stdout, stderr } = run(t, ['--quick', '--only', 'changes'])

  assert.equal(stderr, '')
  assert.equal(status, 0, stdout)
  assert.match(stdout, /^\| failed of \d+ POSTs while it was reloaded \| 0 \| 0 \| met \| /m)
  assert.match(stdout, /^\| failed of \d+ POSTs .* drained \| 0 \| 0 \| met \| ended by itself/m)
})

test('an unknown part is named, with those there are', { skip }, (t) => {
  const { status, stdout, stderr } = run(t, ['--only', 'crowd'])

  assert.equal(status, 2)
  assert.equal(stdout, '')
  assert.match(stderr, /^load-test:proxy: --only takes start, crowds, .*, not crowd$/m)
})
