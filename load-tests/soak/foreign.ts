/** Messages that go to a foreign peer and come back, as its server and as its client. */
import { setImmediate } from 'node:timers/promises'
import {
  connect,
  listen,
  type ShmListener,
  type ShmSession,
  type ShmStream
} from '../../adapter/shmipc/index.ts'
import { exchange } from '../../adapter/test/interop/ends.ts'
import { built, type Echoed, ForeignPeer } from '../../adapter/test/interop/peer.ts'
import { eventually } from '../../adapter/test/support/eventually.ts'
import { pattern } from '../../adapter/test/support/pattern.ts'
import type { Workspace } from '../demo/workspace.ts'
import { growthOf, mebibytes } from './verdict.ts'

export const FOREIGN_PEERS = ['go', 'rust'] as const
export type ForeignPeerName = (typeof FOREIGN_PEERS)[number]

/** Streams open at once, in each direction. */
const STREAMS = 32
/** What a stream sends, again and again: mostly small, and around the slices of either client. */
const SIZES = [1, 64, 300, 4096, 17, 4097, 100, 8172, 900, 8173, 2, 30_000]
/** Of the client's memory: enough that no message must go by the socket. */
const MEMORY_BYTES = 128 * 1024 * 1024
/** After each of them nothing may be held. */
const BATCHES = 50
/** Lines of the series that is printed. */
const LINES = 10

/** Bytes to send, from an offset of each message's own. */
const SOURCE = pattern(1024 * 1024)

export class ForeignSoak {
  readonly #workspace: Workspace
  readonly #name: ForeignPeerName
  readonly #rounds: number
  readonly #residentBytes: number[] = []
  #messages = 0
  #bytes = 0

  /** @param messages written by both ends together, at least */
  constructor(workspace: Workspace, name: ForeignPeerName, messages: number) {
    this.#workspace = workspace
    this.#name = name
    // Two sessions, and each message goes and comes.
    this.#rounds = Math.ceil(messages / (2 * 2 * STREAMS * SIZES.length * BATCHES))
  }

  /** Resolves to the exit code. */
  async run(): Promise<number> {
    const path = built(`${this.#name}-peer`)
    if (path === undefined) {
      process.stderr.write(
        `soak: ${this.#name}-peer is not built: npm run test:interop -- --build builds it\n`
      )
      return 2
    }
    const peer = new ForeignPeer([path])
    try {
      return await this.#converse(peer)
    } catch (error) {
      print(`WRONG  ${(error as Error).message}`)
      return 1
    } finally {
      await peer.end()
    }
  }

  async #converse(peer: ForeignPeer): Promise<number> {
    const ours = this.#workspace.path('ours.sock')
    const theirs = this.#workspace.path('theirs.sock')
    const listener = await echoAt(ours)
    await peer.call('dial', { name: 'soak', address: ours, memory: MEMORY_BYTES })
    await peer.call('serve', { name: 'soak', address: theirs, kind: 'echo' })
    const session = await connect(theirs, { memory: `${MEMORY_BYTES / 1024 / 1024}MiB` })
    const startedAt = performance.now()
    for (let batch = 1; batch <= BATCHES; batch++) {
      await Promise.all([this.#asServer(peer), this.#asClient(session, batch)])
      await this.#settled([session, ...listener.sessions])
      this.#residentBytes.push(process.memoryUsage().rss)
      if (batch % (BATCHES / LINES) === 0) this.#printLine(startedAt)
    }
    const all = [session, ...listener.sessions].map((each) => each.statistics())
    const fallbacks = all.reduce((sum, { fallbackMessages }) => sum + fallbackMessages, 0)
    const { user, system } = process.cpuUsage()
    session.destroy()
    await peer.call('hangUp', { name: 'soak' })
    await eventually('its session is gone', () => listener.sessions.size === 0)
    await listener.close()
    await peer.call('stop', { name: 'soak' }).catch(() => undefined)
    const growth = growthOf(this.#residentBytes)
    if (growth !== undefined) print(`WRONG  ${growth}`)
    print(
      `${count(this.#messages)} messages with the ${this.#name} peer, ${mebibytes(this.#bytes)} compared, ` +
        `${count(fallbacks)} by the socket, every slice is back; ` +
        `${((user + system) / this.#messages).toFixed(1)} µs of our CPU a message`
    )
    return growth === undefined ? 0 : 1
  }

  /** The peer's client sends, and compares what our listener sends back. */
  async #asServer(peer: ForeignPeer): Promise<void> {
    const { bytes, messages } = await peer.call<Echoed>('echo', {
      name: 'soak',
      streams: STREAMS,
      rounds: this.#rounds,
      sizes: SIZES,
      how: 'buffer'
    })
    this.#count(messages, bytes)
  }

  /** Our session sends, and compares what the peer's server sends back. */
  async #asClient(session: ShmSession, batch: number): Promise<void> {
    await Promise.all(
      Array.from({ length: STREAMS }, async (_, i) => {
        const stream = session.openStream()
        for (let round = 0; round < this.#rounds; round++) {
          for (const [at, size] of SIZES.entries()) {
            const offset = ((batch * STREAMS + i) * 7919 + round * 104_729 + at * 31) % (1 << 19)
            await this.#exchange(stream, SOURCE.subarray(offset, offset + size))
          }
        }
        stream.destroy()
      })
    )
  }

  async #exchange(stream: ShmStream, body: Buffer): Promise<void> {
    if (!body.equals(await exchange(stream, body))) {
      throw new Error(`stream ${stream.id}: ${body.length} other bytes came back`)
    }
    this.#count(1, body.length)
  }

  #count(exchanged: number, bytes: number): void {
    this.#messages += 2 * exchanged
    this.#bytes += 2 * bytes
  }

  async #settled(sessions: readonly ShmSession[]): Promise<void> {
    for (const session of sessions) {
      await eventually(
        () => `nothing is held: ${JSON.stringify(session.statistics())}`,
        () => {
          const { streams, slicesInUse, lists = [] } = session.statistics()
          return (
            streams === 0 &&
            slicesInUse === 0 &&
            lists.every(({ role, allocated, freed }) => role === 'peers' || allocated === freed)
          )
        }
      )
    }
    await setImmediate()
  }

  #printLine(startedAt: number): void {
    const seconds = (performance.now() - startedAt) / 1000
    const memory = mebibytes(this.#residentBytes.at(-1) ?? 0)
    print(`${seconds.toFixed(1).padStart(7)} s  ${count(this.#messages)}  ${memory}`)
  }
}

async function echoAt(path: string): Promise<ShmListener> {
  const listener = await listen({ path })
  listener.on('stream', (stream) => {
    // Ended by the peer with nothing on its way.
    stream.on('error', () => undefined)
    stream.pipe(stream)
  })
  return listener
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

function count(value: number): string {
  return value.toLocaleString('en-US')
}
