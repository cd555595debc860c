/** One end of the soak's session, a process of its own. */
import { readFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import {
  connect,
  listen,
  ProtocolError,
  type ShmSession,
  type ShmStream
} from '../../adapter/index.ts'
import { Conversation, type Setting, type Tally } from './conversation.ts'
import type { EndMessage, EndOptions, Finish, Sample } from './messages.ts'
import { derivedSeed, Random } from './random.ts'
import { scriptsOf } from './script.ts'

const SAMPLE_MS = 500
/** Nothing is under way for longer than this unless something is wrong. */
const QUIET_MS = 10_000
const QUIET_STEP_MS = 10
/** A stream's first message: its seed, and a word that says so. */
const HEADER_BYTES = 8
const MAGIC = 0x50a4_50a4

const options = JSON.parse(process.argv[2]!) as EndOptions
const { side, path, seed, rules } = options
const tally: Tally = { streams: 0, aborted: 0, messages: 0, bytes: 0, views: 0 }
const setting: Setting = {
  tally,
  random: new Random(derivedSeed(seed, side === 'client' ? -1 : -2)),
  onProblem: (problem) => say({ problem }),
  open: new Set()
}
let finishing = false
let opened = 0

function say(message: EndMessage): void {
  process.send!(message)
}

function call(): Promise<ShmSession> {
  return connect(path, { memory: options.memory, plain: rules === 'shmipc' })
}

function nameOf(streamSeed: number): string {
  return `stream of seed ${streamSeed}`
}

function open(session: ShmSession): void {
  if (finishing || session.closed) return
  const streamSeed = derivedSeed(seed, opened++)
  const stream = session.openStream()
  stream.once('close', () => open(session))
  const scripts = scriptsOf(streamSeed, rules)
  if (scripts.client.abortsAfterMessages !== 0) {
    const header = Buffer.alloc(HEADER_BYTES)
    header.writeUInt32BE(streamSeed)
    header.writeUInt32BE(MAGIC, 4)
    stream.write(header)
  }
  new Conversation(stream, nameOf(streamSeed), 'client', scripts, setting, Buffer.alloc(0))
}

function accept(stream: ShmStream): void {
  let before: Buffer = Buffer.alloc(0)
  // Aborted by the client before it said which stream it is.
  const ignore = () => undefined
  stream.on('error', ignore)
  stream.on('data', function onHeader(chunk: Buffer) {
    before = Buffer.concat([before, chunk])
    if (before.length < HEADER_BYTES) return
    stream.off('data', onHeader)
    stream.off('error', ignore)
    const streamSeed = before.readUInt32BE()
    if (before.readUInt32BE(4) !== MAGIC) {
      const text = `a stream begins with ${before.toString('hex', 0, HEADER_BYTES)}`
      setting.onProblem({ text, corruption: true })
      stream.destroy()
      return
    }
    const rest = before.subarray(HEADER_BYTES)
    const scripts = scriptsOf(streamSeed, rules)
    new Conversation(stream, nameOf(streamSeed), 'server', scripts, setting, rest)
  })
}

function watch(session: ShmSession): void {
  session.once('close', (error) => {
    if (error === undefined || finished) return
    const text = `${side}: the session ended: ${error.message}`
    setting.onProblem({ text, corruption: error instanceof ProtocolError })
  })
}

function sample(): Sample {
  const status = readFileSync('/proc/self/status', 'latin1')
  const bytesOf = (name: string) =>
    Number(new RegExp(`^${name}:\\s*(\\d+) kB$`, 'm').exec(status)?.[1] ?? 0) * 1024
  return { tally, anonymousBytes: bytesOf('RssAnon'), sharedBytes: bytesOf('RssShmem') }
}

async function reportWhenQuiet(session: ShmSession): Promise<void> {
  const deadline = Date.now() + QUIET_MS
  for (;;) {
    const { streams, slicesInUse } = session.statistics()
    if ((streams === 0 && slicesInUse === 0) || Date.now() > deadline) break
    await setTimeout(QUIET_STEP_MS)
  }
  finished = true
  for (const conversation of setting.open) conversation.complainOpen()
  say({ quiet: session.statistics(), sample: sample() })
}

let finished = false
const listener = side === 'server' ? await listen({ path }) : undefined
let session: ShmSession | undefined = side === 'client' ? await call() : undefined
if (session !== undefined) {
  watch(session)
  for (let i = 0; i < options.streams; i++) open(session)
}
listener?.on('session', (accepted) => {
  session = accepted
  watch(accepted)
})
listener?.on('stream', accept)

process.on('message', (_: Finish) => {
  finishing = true
  void reportWhenQuiet(session!)
})
process.once('SIGTERM', () => {
  finished = true
  clearInterval(timer)
  void listener?.close()
  session?.destroy()
  process.channel?.unref()
})
const timer = setInterval(() => say({ sample: sample() }), SAMPLE_MS)
say({ ready: true })
