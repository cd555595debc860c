/**
 * Weakens every atomic access of the core, one at a time, and expects each mutant to be caught:
 *
 *   explorer  by native/explore, which runs the mutant under a simulated memory model: all of them
 *   tsan      by ThreadSanitizer and the tests with two threads: accesses that hand over plain bytes
 *   litmus    by this processor, in a loop of sleeps that meet pushes: the wake-up's exchanges
 *
 * One more mutant lets both ends take from a list whenever they like, as shmipc does: the explorer
 * must find a slice with two owners, or it could not show that one allocator per list has none.
 *
 * A mutant that survives is named, with its line, and fails the script. Accesses are found in the
 * sources: a new one has mutants from its first day, and must be in docs/internals/memory-ordering.md.
 * Arguments choose the mutants whose name contains one of them.
 */
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { basename, join } from 'node:path'
import {
  compile,
  compileAll,
  forEachInParallel,
  link,
  needCompiler,
  runSanitized,
  sanitizerFlags,
  testSources
} from './compiler.mjs'
import { CORE, mutants } from './mutation-points.mjs'
import { capture, fail, filesBelow, ROOT, seconds } from './tools.mjs'

const BUILD = join(ROOT, 'native/build-mutants')
const EXPLORE = join(ROOT, 'native/explore')
const DOCUMENT = join(ROOT, 'docs/internals/memory-ordering.md')
const SCHEDULES = 20_000
/** Sources of the core the explorer's scenarios need: those with mutants, and what they call. */
const SIMULATED = ['event_queue.cc', 'idle_slices.cc', 'slice_list.cc', 'slice_states.cc']

/** Accesses between whose two ends plain bytes change hands, between two shmesh ends. */
const TSAN = /^(EventQueue::(TryPush|Peek|Advance)|SliceList::(Reclaim|Link)) /
const LITMUS = /^EventQueue::(ClaimWakeUp|TrySleep) kRingWorking Exchange$/

const PLAIN_FLAGS = ['-std=c++20', '-pthread']
/** Each way to catch a mutant: flags, which objects it replaces one of, what to run. */
const METHODS = {
  explorer: {
    flags: [...PLAIN_FLAGS, '-O1', '-g', '-fno-builtin'],
    linker: ['-Wl,--wrap=memcpy'],
    includes: [join(BUILD, 'simulated'), EXPLORE, 'native/test'],
    run: (executable) => capture(executable, [String(SCHEDULES)])
  },
  tsan: {
    flags: sanitizerFlags('tsan'),
    includes: [EXPLORE, 'native/src'],
    run: (executable) => runSanitized(executable, ['TwoThreads'])
  },
  litmus: {
    flags: [...PLAIN_FLAGS, '-O2'],
    includes: [EXPLORE, 'native/src'],
    run: (executable) => capture(executable, ['APushAndASleepDoNotMissEachOther']),
    attempts: 8
  }
}

/** Copies over the simulated atomics. */
function simulatedSources() {
  const directory = join(BUILD, 'simulated/core')
  mkdirSync(directory, { recursive: true })
  for (const path of filesBelow(CORE)) {
    if (path.endsWith('.h')) copyFileSync(path, join(directory, basename(path)))
  }
  copyFileSync(join(EXPLORE, 'simulated/core/atomics.h'), join(directory, 'atomics.h'))
  for (const file of SIMULATED) copyFileSync(join(CORE, file), join(directory, file))
  return SIMULATED.map((file) => join(directory, file))
}

function sourcesFor(name) {
  if (name === 'tsan') return testSources()
  if (name === 'litmus') {
    return testSources().filter((path) => !/_test\.cc$/.test(path) || /wake_up_test/.test(path))
  }
  const own = filesBelow(EXPLORE).filter((path) => path.endsWith('.cc'))
  return [...simulatedSources(), ...own]
}

/** Takes interleave in the scenario of two takers, which leaves that out. */
function twoAllocators() {
  const file = 'lists.cc'
  const text = readFileSync(join(EXPLORE, file), 'utf8')
  const turn = 'const weak::Uninterrupted alone;'
  const at = text.indexOf(turn)
  if (at < 0) fail(`${file} no longer says ${turn}`)
  return {
    directory: 'explore',
    file,
    line: text.slice(0, at).split('\n').length,
    name: 'SliceList::Allocate by both ends',
    weaker: 'at any moment',
    text: text.replace(turn, '')
  }
}

/** Compiles what the mutants of a method share, and sees the core pass as it stands. */
async function build(name) {
  const method = METHODS[name]
  // The objects of `npm run test:sanitize`, when they are there.
  const directory = name === 'tsan' ? join(ROOT, 'native/build-tsan') : join(BUILD, name)
  method.objects = await compileAll(sourcesFor(name), directory, method.flags, method.includes)
  const executable = join(directory, 'unchanged')
  link([...method.objects.values()], executable, [...method.flags, ...(method.linker ?? [])])
  const { ok, output } = method.run(executable)
  if (!ok) fail(`${output}\nthe unchanged core fails: ${name}`)
}

/** Whether `name` catches the mutant. */
async function isCaught(mutant, name) {
  const method = METHODS[name]
  const directory = join(BUILD, `${mutant.id}-${name}`)
  mkdirSync(directory, { recursive: true })
  const source = join(directory, mutant.file)
  const object = `${source}.o`
  const executable = join(directory, 'mutant')
  writeFileSync(source, mutant.text)
  const core = name === 'explorer' ? join(BUILD, 'simulated/core') : CORE
  await compile(source, object, method.flags, [...method.includes, core])
  const replaced = `/${mutant.directory ?? 'core'}/${mutant.file}`
  const others = [...method.objects].filter(([path]) => !path.endsWith(replaced))
  link([object, ...others.map(([, path]) => path)], executable, [
    ...method.flags,
    ...(method.linker ?? [])
  ])
  let caught = false
  // A race only time brings out: the machine may have had other things to do.
  for (let i = 0; i < (method.attempts ?? 1) && !caught; i++) caught = !method.run(executable).ok
  rmSync(directory, { recursive: true })
  return caught
}

function methodsFor({ name }) {
  return TSAN.test(name) ? ['explorer', 'tsan'] : ['explorer']
}

function checkDocument(all) {
  const text = readFileSync(DOCUMENT, 'utf8')
  const missing = [...new Set(all.map(({ name }) => name))].filter(
    (name) => !text.includes(`\`${name}\``)
  )
  if (missing.length > 0) fail(`${DOCUMENT} does not explain:\n  ${missing.join('\n  ')}`)
}

needCompiler()
const start = Date.now()
const wanted = process.argv.slice(2)
const points = mutants()
const all = [...points, twoAllocators()].map((mutant, id) => ({ ...mutant, id }))
const chosen = all.filter(
  ({ name }) => wanted.length === 0 || wanted.some((part) => name.includes(part))
)
checkDocument(all)
const strangers = points.filter(({ file }) => !SIMULATED.includes(file))
if (strangers.length > 0) fail(`no scenario of native/explore runs ${strangers[0].file}`)
const isForLitmus = ({ name, weaker }) => LITMUS.test(name) && weaker === 'ExchangeSplit'
const methods = new Set(chosen.flatMap((mutant) => methodsFor(mutant)))
if (chosen.some(isForLitmus)) methods.add('litmus')
for (const name of methods) await build(name)

const survivors = []
async function expectCaught(mutant, methods) {
  const { file, line, name, weaker } = mutant
  for (const method of methods) {
    const caught = await isCaught(mutant, method)
    console.log(`${name} -> ${weaker}: ${caught ? 'caught' : 'NOT CAUGHT'} by ${method}`)
    if (!caught) survivors.push(`${file}:${line} ${name} -> ${weaker}: ${method}`)
  }
}

await forEachInParallel(chosen, (mutant) => expectCaught(mutant, methodsFor(mutant)))
// Its two threads must meet: nothing beside it, and two processors.
if (availableParallelism() > 1) {
  for (const mutant of chosen.filter(isForLitmus)) await expectCaught(mutant, ['litmus'])
} else {
  console.log('mutants: a single processor, no litmus loop')
}
if (survivors.length > 0) fail(`not caught:\n  ${survivors.join('\n  ')}`)
console.log(`mutants: all ${chosen.length} are caught (${seconds(start)})`)
