/**
 * Runs the compiled tests, dist/<area>/test/*.test.js, with Node's own runner. Arguments choose
 * those whose path contains one of them: `npm run test:node -- shmipc proxy/test/drain`. Those of
 * test/interop/ need programs that scripts/interop.mjs builds, and run when they are asked for.
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join, relative } from 'node:path'
import { fail, filesBelow, ROOT } from './tools.mjs'

/**
 * Of a test, and of all tests of a file. On an idle machine none needs a tenth of it; a hanging one
 * must not hang the run.
 */
const TIMEOUT_MS = 300_000

/** Files at the same time: most tests wait for processes and timers, also on two processors. */
const CONCURRENCY = Math.max(2, availableParallelism() - 1)

// Node 20 takes no patterns after --test.
const dist = join(ROOT, 'dist')
const wanted = process.argv.slice(2)
const files = (existsSync(dist) ? filesBelow(dist) : [])
  .map((path) => relative(ROOT, path))
  .filter((path) => /\/test\/(interop\/)?[^/]+\.test\.js$/.test(path))
  .filter((path) =>
    wanted.length === 0
      ? !path.includes('/test/interop/')
      : wanted.some((part) => path.includes(part))
  )
  .sort()
if (files.length === 0) fail('no compiled tests found; run: npm run build:ts')

const { status } = spawnSync(
  process.execPath,
  [
    '--enable-source-maps',
    '--test',
    '--test-reporter=spec',
    `--test-timeout=${TIMEOUT_MS}`,
    `--test-concurrency=${CONCURRENCY}`,
    ...files
  ],
  { cwd: ROOT, stdio: 'inherit' }
)
process.exit(status ?? 1)
