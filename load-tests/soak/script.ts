/** What the two ends of a stream do. Both know it all: it follows from the stream's seed. */
import { derivedSeed, Random } from './random.ts'

export type Side = 'client' | 'server'

/** How an end reads. `hold` keeps views of shared memory for a while and looks again. */
export type Reading = 'flowing' | 'slow' | 'hold'

export interface Script {
  /** Of the bytes this side writes. */
  readonly pattern: number
  /** Bytes of each message it writes. */
  readonly messages: readonly number[]
  /** Their sum. */
  readonly bytes: number
  readonly reading: Reading
  /** Destroys the stream after so many messages written, ... */
  readonly abortsAfterMessages: number | undefined
  /** ... or so many bytes read. */
  readonly abortsAfterBytes: number | undefined
}

/** Whose rules both ends keep; what streams do is chosen for what it puts to the test. */
export type Rules = 'shmesh' | 'shmipc'

const KIB = 1024
const MAX_MESSAGES = 120

export function scriptsOf(seed: number, rules: Rules): Readonly<Record<Side, Script>> {
  const writes = {
    client: messagesOf(derivedSeed(seed, 0), rules, 1),
    server: messagesOf(derivedSeed(seed, 1), rules, 0)
  }
  const scripts = {
    client: scriptOf(derivedSeed(seed, 2), writes.client, writes.server),
    server: scriptOf(derivedSeed(seed, 3), writes.server, writes.client)
  }
  if (rules === 'shmesh') return scripts
  // By shmipc's rules what arrives after a server's close begins a new stream of that number.
  const server = { ...scripts.server, abortsAfterMessages: undefined, abortsAfterBytes: undefined }
  return { client: scripts.client, server }
}

/** @param least a stream begins with a message of its client */
function messagesOf(seed: number, rules: Rules, least: number): readonly number[] {
  const random = new Random(seed)
  const count = Math.max(least, random.magnitude(1, MAX_MESSAGES + 1) - 1)
  return Array.from({ length: count }, () =>
    rules === 'shmesh' ? mixedSize(random) : midSize(random)
  )
}

/** All from one list of few slices, which come round again soon. */
function midSize(random: Random): number {
  return 5 * KIB + random.below(24 * KIB)
}

/** Mostly small ones, up to 1 MiB. */
function mixedSize(random: Random): number {
  const kind = random.below(1000)
  if (kind < 850) return random.magnitude(1, 512)
  if (kind < 970) return random.magnitude(512, 16 * KIB)
  if (kind < 997) return random.magnitude(16 * KIB, 256 * KIB)
  return random.magnitude(256 * KIB, 1024 * KIB)
}

function scriptOf(seed: number, messages: readonly number[], peers: readonly number[]): Script {
  const random = new Random(seed)
  const abort = random.below(100)
  const peerBytes = sum(peers)
  return {
    pattern: random.next(),
    messages,
    bytes: sum(messages),
    reading: random.chance(0.1) ? 'slow' : random.chance(0.4) ? 'hold' : 'flowing',
    abortsAfterMessages: abort < 6 ? random.below(messages.length + 1) : undefined,
    abortsAfterBytes:
      abort >= 6 && abort < 12 && peerBytes > 0 ? random.below(peerBytes) : undefined
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
