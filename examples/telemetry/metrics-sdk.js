import { once } from 'node:events'
import { connect } from 'shmesh'

/** Counters for a metrics agent: added up here, sent ten times a second. */
export class Metrics {
  #session
  #stream
  #added = new Map()
  #timer = setInterval(() => this.#send(), 100).unref()

  constructor(session) {
    this.#session = session
    this.#stream = session.openStream()
    // The agent has gone: what is counted from here on is lost.
    this.#stream.on('error', () => undefined)
  }

  static async connect(path) {
    return new Metrics(await connect(path, { memory: '1MiB' }))
  }

  add(name, value = 1) {
    this.#added.set(name, (this.#added.get(name) ?? 0) + value)
  }

  async close() {
    clearInterval(this.#timer)
    this.#send()
    this.#stream.end()
    if (!this.#stream.closed) await once(this.#stream.resume(), 'close')
    await this.#session.close()
  }

  #send() {
    // What a slow agent has no room for is sent with the next.
    if (this.#added.size === 0 || this.#stream.writableNeedDrain || !this.#stream.writable) return
    this.#stream.write(`${JSON.stringify(Object.fromEntries(this.#added))}\n`)
    this.#added.clear()
  }
}
