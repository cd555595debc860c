import { once } from 'node:events'
import { connect } from 'shmesh'

/** Lines for a log agent. The app never waits for it: what the agent is too slow for is dropped and counted. */
export class Logger {
  dropped = 0
  #session
  #stream

  constructor(session) {
    this.#session = session
    this.#stream = session.openStream()
    // The agent has gone: lines are dropped from here on.
    this.#stream.on('error', () => undefined)
  }

  static async connect(path) {
    return new Logger(await connect(path, { memory: '4MiB' }))
  }

  info(message, fields) {
    this.#write('info', message, fields)
  }

  error(message, fields) {
    this.#write('error', message, fields)
  }

  async close() {
    if (this.dropped > 0) this.#stream.write(`${JSON.stringify({ dropped: this.dropped })}\n`)
    this.#stream.end()
    if (!this.#stream.closed) await once(this.#stream.resume(), 'close')
    await this.#session.close()
  }

  #write(level, message, fields) {
    if (!this.#stream.writable || this.#stream.writableNeedDrain) this.dropped++
    else this.#stream.write(`${JSON.stringify({ level, message, ...fields })}\n`)
  }
}
