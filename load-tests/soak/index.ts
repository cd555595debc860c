/** `npm run soak`: two processes, one session, every byte checked. */
import { randomInt } from 'node:crypto'
import { parseArgs } from 'node:util'
import { sharedMemory } from '../../adapter/index.ts'
import { Workspace } from '../demo/workspace.ts'
import { FOREIGN_PEERS, type ForeignPeerName, ForeignSoak } from './foreign.ts'
import { Soak, type SoakOptions } from './soak.ts'

const HELP = `npm run soak [-- OPTIONS]

  --messages N  written by both ends together (default 10000000; with --quick 100000)
  --quick       a minute at most
  --seed N      repeats the scripts of an earlier run
  --peer NAME   go or rust: the other end is shmipc-go or shmipc-rs, as a client and as a server of
                messages that come back; npm run test:interop -- --build builds it
  --plain       shmipc's own rules between the same two ends: exit code 0 when they are seen to fail,
                which takes luck

Two processes on one CPU exchange messages of 1 B to 1 MiB on many streams both ways, with aborts,
slow readers, views held for a while, and SIGSTOP of either at random moments. Every byte is
compared. Exit code 0: none was wrong, every slice is back, and memory is flat.
`

const { values } = parseArgs({
  options: {
    help: { type: 'boolean', short: 'h' },
    messages: { type: 'string' },
    peer: { type: 'string' },
    quick: { type: 'boolean', default: false },
    seed: { type: 'string' },
    plain: { type: 'boolean', default: false }
  }
})

if (values.help) process.stdout.write(HELP)
else process.exitCode = await run()

async function run(): Promise<number> {
  const options = readOptions()
  const { reason } = sharedMemory()
  const problem = typeof options === 'string' ? options : reason
  if (problem !== undefined) {
    process.stderr.write(`soak: ${problem}\n`)
    return 2
  }
  const workspace = new Workspace()
  const { messages } = options as SoakOptions
  const { peer } = values
  try {
    return peer === undefined
      ? await new Soak(workspace, options as SoakOptions).run()
      : await new ForeignSoak(workspace, peer as ForeignPeerName, messages).run()
  } finally {
    workspace.close()
  }
}

function readOptions(): SoakOptions | string {
  const { peer, plain, quick, seed: given } = values
  if (peer !== undefined) {
    if (!FOREIGN_PEERS.includes(peer as ForeignPeerName)) return '--peer takes go or rust'
    if (plain || given !== undefined) return '--peer takes neither --plain nor --seed'
  }
  const messages = Number(values.messages ?? (quick ? 100_000 : 10_000_000))
  if (!Number.isSafeInteger(messages) || messages < 1) return '--messages takes a whole number'
  const seed = Number(given ?? randomInt(2 ** 32))
  if (!Number.isInteger(seed) || seed < 0 || seed >= 2 ** 32) return '--seed takes 0 to 4294967295'
  return { messages, seed, rules: plain ? 'shmipc' : 'shmesh' }
}
