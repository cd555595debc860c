/**
 * Drives the scenarios, in a process of its own: gets a {@link ScenarioLoad}, answers with
 * `{ result }`.
 */
import { once } from 'node:events'
import { Agent, type RequestOptions, request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { pipeline, Readable } from 'node:stream'
import { percentile } from '../demo/measure.ts'
import { CHUNK_BYTES, LANES, NEW_ORDER, ORDERS, type Scenario, STREAM_BYTES } from './scenarios.ts'
import type { DriveResult } from './wrk.ts'

export interface ScenarioLoad {
  readonly scenario: Scenario
  readonly origin: string
  readonly socketPath: string | undefined
  /** At least: what has begun is ended. */
  readonly durationMs: number
}

interface Call {
  readonly path: string
  readonly method?: 'POST'
  readonly body?: string | 'stream'
  /** Of the answer; undefined: any. */
  readonly bytes?: number
}

/** After this a request counts as lost. */
const TIMEOUT_MS = 20_000
const SLOW_READERS = 4
const SLOW_BYTES = 4 * 1024 * 1024
const FAST_BYTES = 16 * 1024
const chunk = Buffer.alloc(CHUNK_BYTES, 'x')

const CALLS: Readonly<Record<Scenario, readonly Call[]>> = {
  json: [
    { path: `/orders?limit=${ORDERS}` },
    { path: '/orders/o-117' },
    { path: '/orders', method: 'POST', body: NEW_ORDER }
  ],
  down: [{ path: '/stream', bytes: STREAM_BYTES }],
  up: [{ path: '/sink', method: 'POST', body: 'stream' }],
  both: [{ path: '/echo', method: 'POST', body: 'stream', bytes: STREAM_BYTES }],
  'slow-reader': [{ path: `/buffer/${FAST_BYTES}/0`, bytes: FAST_BYTES }]
}

async function drive(load: ScenarioLoad): Promise<DriveResult> {
  const { scenario, durationMs } = load
  const agent = new Agent({ keepAlive: true, maxSockets: LANES[scenario] })
  const slow = scenario === 'slow-reader' ? await startSlowReaders(load) : []
  const times: number[] = []
  let errors = 0
  const startedAt = performance.now()
  await Promise.all(
    Array.from({ length: LANES[scenario] }, async () => {
      let next = 0
      while (performance.now() - startedAt < durationMs) {
        const calls = CALLS[scenario]
        const sentAt = performance.now()
        // nginx cannot answer while it still reads: it ends the connection, or waits for ever.
        if (!(await ask(load, agent, calls[next++ % calls.length]!).catch(() => false))) errors++
        times.push(performance.now() - sentAt)
      }
    })
  )
  const elapsedMs = performance.now() - startedAt
  agent.destroy()
  for (const socket of slow) socket.destroy()
  const sorted = Float64Array.from(times).sort()
  return {
    completed: times.length,
    elapsedMs,
    p50Ms: percentile(sorted, 0.5),
    p99Ms: percentile(sorted, 0.99),
    p999Ms: percentile(sorted, 0.999),
    errors
  }
}

/** False when the answer was not the one expected. */
async function ask(load: ScenarioLoad, agent: Agent, call: Call): Promise<boolean> {
  const { path, method = 'GET', body, bytes } = call
  const headers: Record<string, string | number> = {}
  if (body === 'stream') {
    headers['content-type'] = 'application/octet-stream'
    headers['content-length'] = STREAM_BYTES
  } else if (body !== undefined) {
    headers['content-type'] = 'application/json'
    headers['content-length'] = Buffer.byteLength(body)
  }
  const signal = AbortSignal.timeout(TIMEOUT_MS)
  const sent = request({ ...target(load), agent, path, method, headers, signal })
  if (body === 'stream') pipeline(Readable.from(chunks()), sent, () => undefined)
  else sent.end(body)
  const [response] = await once(sent, 'response')
  let received = 0
  for await (const part of response) received += part.length
  return response.statusCode < 300 && (bytes === undefined || received === bytes)
}

function target({ origin, socketPath }: ScenarioLoad): RequestOptions {
  if (socketPath !== undefined) return { socketPath }
  const { hostname, port } = new URL(origin)
  return { host: hostname, port }
}

/** They have asked for a large body and read none of it. */
async function startSlowReaders(load: ScenarioLoad): Promise<Socket[]> {
  const { host, port, socketPath } = target(load)
  const address = socketPath ? { path: socketPath } : { host: host!, port: Number(port) }
  return Promise.all(
    Array.from({ length: SLOW_READERS }, async (_, i) => {
      const socket = connect(address)
      // It is destroyed while it is written to.
      socket.on('error', () => undefined)
      await once(socket, 'connect')
      socket.write(`GET /buffer/${SLOW_BYTES}/${i} HTTP/1.1\r\nHost: app\r\n\r\n`)
      return socket
    })
  )
}

function* chunks(): Generator<Buffer> {
  for (let sent = 0; sent < STREAM_BYTES; sent += CHUNK_BYTES) yield chunk
}

process.on('message', (load: ScenarioLoad) => {
  drive(load).then(
    (result) => process.send?.({ result }),
    (error: Error) => {
      console.error(error)
      process.exit(1)
    }
  )
})
// Idle between two loads, and not to end then.
process.channel?.ref()
