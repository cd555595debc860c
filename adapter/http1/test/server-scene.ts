import assert from 'node:assert/strict'
import { createServer, type Server, type ServerOptions } from 'node:http'
import type { TestContext } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { HttpConnections } from '../server/index.ts'
import { TestStream } from './test-stream.ts'

/** `own` is this package's codec, `node` that of node:http. */
export type Codec = 'own' | 'node'

/** A server that never listens, and connections to it. */
export class ServerScene {
  readonly server: Server
  readonly connections: HttpConnections
  readonly #codec: Codec
  readonly #streams: TestStream[] = []

  constructor(t: TestContext, codec: Codec = 'own', options: ServerOptions = {}) {
    this.#codec = codec
    this.server = createServer(options)
    this.connections = new HttpConnections(this.server)
    t.after(async () => {
      for (const stream of this.#streams) stream.destroy()
      await settled()
      assert.equal(this.connections.size, 0, 'connections are kept')
      for (const { lent } of this.#streams) assert.equal(lent, 0, 'views are held')
    })
  }

  connect(): TestStream {
    const stream = new TestStream()
    this.#streams.push(stream)
    if (this.#codec === 'own') this.connections.add(stream)
    else this.server.emit('connection', stream)
    return stream
  }

  /** Sends `bytes` on a new connection; resolves when all that follows from it has happened. */
  async exchange(bytes: string): Promise<TestStream> {
    const stream = this.connect()
    stream.deliver(bytes)
    await settled()
    return stream
  }
}

/**
 * When nothing more happens by itself. All is in this thread's memory: a chain of ticks and turns
 * that ends, unlike anything that waits for a process or the kernel.
 */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 30; turn++) await setImmediate()
}

/** Responses made by both codecs at different times. */
export function undated(text: string): string {
  return text.replaceAll(/^Date: .*\r\n/gm, 'Date: *\r\n')
}
