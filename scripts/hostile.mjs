/**
 * Many sessions with a peer that does what it can to the memory both share (native/test/hostile_run.h),
 * under AddressSanitizer, each mapping between two pages nobody may touch. One process for each
 * processor. Arguments: how many runs (100,000), and the first seed (0), which a failure names.
 */
import { spawn } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { compileAll, link, needCompiler, sanitizerFlags, testSources } from './compiler.mjs'
import { fail, filesBelow, ROOT, seconds } from './tools.mjs'

const [runs = 100_000, first = 0] = process.argv.slice(2).map(Number)
/** Every reason must have been met in a run of this many. */
const ENOUGH_RUNS = 50_000

needCompiler()
const start = Date.now()
const executable = join(ROOT, 'native/build-hostile/hostile')
await build()

const share = Math.ceil(runs / availableParallelism())
const shards = Array.from({ length: Math.ceil(runs / share) }, (_, i) =>
  run(first + i * share, Math.min(share, runs - i * share))
)
const reasons = new Map()
for (const output of await Promise.all(shards)) {
  for (const [, times, reason] of output.matchAll(/^(\d+) (.*)$/gm)) {
    reasons.set(reason, (reasons.get(reason) ?? 0) + Number(times))
  }
}
for (const [reason, times] of reasons) console.log(`${times} times: ${reason}`)
console.log(`hostile: ${runs} runs survived (${seconds(start)})`)
const missed = [...reasons].filter(([, times]) => times === 0).map(([reason]) => reason)
if (runs >= ENOUGH_RUNS && missed.length > 0) fail(`no run ended by:\n  ${missed.join('\n  ')}`)

async function build() {
  const flags = sanitizerFlags('asan')
  const own = filesBelow(join(ROOT, 'native/fuzz')).filter((path) => path.endsWith('.cc'))
  const needed = testSources().filter(
    (path) => !/_test\.cc$|test\/main\.cc$/.test(path) || path.includes('/src/core/')
  )
  // The objects of `npm run test:sanitize`, when they are there.
  const objects = await compileAll([...needed, ...own], join(ROOT, 'native/build-asan'), flags, [
    'native/test'
  ])
  link([...objects.values()], executable, [...flags, '-Wl,--wrap=mmap,--wrap=munmap'])
}

/** Resolves with the standard output; ends with the standard error when the runs fail. */
function run(seed, count) {
  const child = spawn(executable, [String(seed), String(count)], {
    stdio: ['ignore', 'pipe', 'pipe']
  })
  let output = ''
  let errors = ''
  child.stdout.on('data', (chunk) => {
    output += chunk
  })
  child.stderr.on('data', (chunk) => {
    errors += chunk
  })
  return new Promise((resolve) => {
    child.once('close', (code) => {
      if (code === 0) resolve(output)
      else fail(`${errors}\nnpm run test:hostile -- 1 SEED repeats it`)
    })
  })
}
