import { timeoutError } from './client-error.ts'
import type { HttpConnection, Phase } from './connection.ts'
import { keepAliveMarginMs } from './server-options.ts'

/**
 * The deadlines of one connection, looked at by a sweep: the time of a phase begins when a sweep
 * first sees it, so that nothing is measured per request and none passes early.
 */
export class Deadlines {
  readonly #connection: HttpConnection
  #phase: Phase = 'idle'
  #served = -1
  /** When the phase, and the request in it, were first seen; ms of performance.now(). */
  #phaseSince = 0
  #requestSince = 0
  #moved = -1
  #quietSince = 0

  constructor(connection: HttpConnection) {
    this.#connection = connection
  }

  check(now: number): void {
    const connection = this.#connection
    const { phase, served, server } = connection
    this.#checkQuiet(now)
    if (served !== this.#served || this.#phase === 'idle') this.#requestSince = now
    if (served !== this.#served || phase !== this.#phase) {
      this.#phase = phase
      this.#served = served
      this.#phaseSince = now
      return
    }
    const inPhase = now - this.#phaseSince
    const inRequest = now - this.#requestSince
    if (phase === 'idle' && served > 0) {
      const { keepAliveTimeout } = server
      if (keepAliveTimeout > 0 && inPhase > keepAliveTimeout + keepAliveMarginMs(server))
        connection.close()
    } else if (phase === 'idle' || phase === 'head') {
      const over = isOver(inPhase, server.headersTimeout)
      if (over || isOver(inRequest, server.requestTimeout)) connection.fail(timeoutError())
    } else if (phase === 'body' && isOver(inRequest, server.requestTimeout)) {
      connection.fail(timeoutError())
    }
  }

  /** `server.timeout`, and `setTimeout` of requests and responses. */
  #checkQuiet(now: number): void {
    const { server, stream, timeoutMs = server.timeout } = this.#connection
    const { bytesRead = 0, bytesWritten = 0 } = stream as Counted
    const moved = bytesRead + bytesWritten
    if (moved !== this.#moved) {
      this.#moved = moved
      this.#quietSince = now
    } else if (isOver(now - this.#quietSince, timeoutMs)) {
      this.#quietSince = now
      this.#connection.onQuiet()
    }
  }
}

interface Counted {
  readonly bytesRead?: number
  readonly bytesWritten?: number
}

function isOver(elapsed: number, timeout: number): boolean {
  return timeout > 0 && elapsed > timeout
}
