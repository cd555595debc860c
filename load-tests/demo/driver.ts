/**
 * Drives one server at a time with autocannon, in a process of its own: measuring must not share an
 * event loop with what is measured. Its parent sends a {@link Load}, may send `{ stop: true }` to end
 * it early, and gets `{ completed }` now and then and one {@link LoadResult} as `{ result }`.
 */
import autocannon, { type Client, type Instance, type Result } from 'autocannon'
import { bodyOf, bodyPath, UPLOAD_ANSWER, VARIANTS } from './bodies.ts'

export interface Load {
  /** `http://127.0.0.1:PORT` */
  readonly origin: string
  readonly method: 'GET' | 'POST' | 'PUT'
  readonly bytes: number
  readonly connections: number
  /** At least: it goes on until one request has been answered, or given up. */
  readonly durationMs: number
  /** Before `/BYTES/VARIANT` of each path; none when left out. */
  readonly prefix?: string
  /** Instead of the origin's host and port. */
  readonly socketPath?: string | undefined
  /** `length`: takes less of the processors the measured ones need. Default: every byte. */
  readonly compare?: 'bytes' | 'length'
  /** Bodies in use, default and at most {@link VARIANTS}. */
  readonly variants?: number
}

export interface LoadResult {
  readonly completed: number
  readonly elapsedMs: number
  /** One per completed request, in no order. */
  readonly latenciesMs: Float64Array
  /** Answers other than 2xx. */
  readonly refused: number
  /** 2xx answers whose body was not exactly the expected one. */
  readonly mismatches: number
  /** Requests that were sent and never answered. */
  readonly lost: number
}

/** Autocannon looks at the clock this often. */
const SAMPLE_MS = 100
/** After this a request counts as lost, seconds. */
const TIMEOUT_S = 20

class Tally {
  completed = 0
  refused = 0
  mismatches = 0
  latencies = new Float64Array(1 << 14)

  add(status: number, exact: boolean, latencyMs: number): void {
    if (this.completed === this.latencies.length) {
      const larger = new Float64Array(2 * this.latencies.length)
      larger.set(this.latencies)
      this.latencies = larger
    }
    this.latencies[this.completed++] = latencyMs
    if (status < 200 || status > 299) this.refused++
    else if (!exact) this.mismatches++
  }
}

/** Compares every byte of every answer as it arrives, or counts them. */
function check(client: Client, expected: Buffer, bytewise: boolean, tally: Tally): void {
  let received = 0
  let exact = true
  client.on('body', (chunk) => {
    const end = received + chunk.length
    const wrong = bytewise && chunk.compare(expected, received, end) !== 0
    if (end > expected.length || wrong) exact = false
    received = end
  })
  client.on('response', (status, _bytes, latencyMs) => {
    tally.add(Number(status), exact && received === expected.length, latencyMs)
    received = 0
    exact = true
  })
  // Autocannon would decode each body into a string as well, which costs more than all the rest.
  const { pipelinedRequests } = client as unknown as {
    pipelinedRequests?: { addBody?: (data: Buffer) => void }
  }
  if (pipelinedRequests?.addBody !== undefined) pipelinedRequests.addBody = () => undefined
}

let running: Instance | undefined

async function drive(load: Load): Promise<LoadResult> {
  const { origin, method, bytes, connections, durationMs } = load
  const { prefix = '', compare = 'bytes', socketPath, variants = VARIANTS } = load
  const tally = new Tally()
  let started = 0
  const progress = setInterval(() => process.send?.({ completed: tally.completed }), 250)
  const startedAt = performance.now()
  const end = setInterval(() => {
    if (performance.now() - startedAt >= durationMs && tally.completed > 0) running?.stop()
  }, SAMPLE_MS)
  const setupClient = (client: Client) => {
    const variant = started++ % variants
    const path = prefix + bodyPath(bytes, variant)
    const headers = {
      'content-type': 'application/octet-stream',
      ...(compare === 'bytes' && { 'x-compare': 'bytes' })
    }
    const body = bodyOf(bytes, variant)
    client.setRequests([method === 'GET' ? { method, path } : { method, path, headers, body }])
    check(client, method === 'GET' ? body : UPLOAD_ANSWER, compare === 'bytes', tally)
  }
  const result = await new Promise<Result>((resolve, reject) => {
    const duration = durationMs / 1000 + TIMEOUT_S
    running = autocannon(
      {
        url: origin,
        ...(socketPath !== undefined && { socketPath }),
        connections,
        duration,
        timeout: TIMEOUT_S,
        sampleInt: SAMPLE_MS,
        setupClient
      },
      (error, result) => (error ? reject(error) : resolve(result))
    )
  })
  running = undefined
  clearInterval(progress)
  clearInterval(end)
  return {
    completed: tally.completed,
    elapsedMs: performance.now() - startedAt,
    latenciesMs: tally.latencies.slice(0, tally.completed),
    refused: tally.refused,
    mismatches: tally.mismatches,
    lost: countLost(result.requests.sent, tally.completed, connections)
  }
}

/** At the end each connection has one request under way; they count when none was ever answered. */
function countLost(sent: number, completed: number, connections: number): number {
  return completed === 0 ? sent : Math.max(0, sent - completed - connections)
}

process.on('message', (message: Load | { readonly stop: true }) => {
  if ('stop' in message) {
    running?.stop()
    return
  }
  drive(message).then(
    (result) => process.send?.({ result }),
    (error: Error) => {
      console.error(error)
      process.exit(1)
    }
  )
})
// Idle between two loads, and not to end then.
process.channel?.ref()
