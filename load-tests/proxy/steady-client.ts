/**
 * Requests at a steady rate, or slower where so many are under way as there are connections; a
 * process of its own. Its parent sends
 * {@link SteadyLoad}, or `{ origin }` to send the rest elsewhere; gets one {@link SteadyResult} for
 * each load.
 */
import { Agent, request } from 'node:http'
import { quantile } from '../transport/statistics.ts'

export interface SteadyLoad {
  /** `http://127.0.0.1:PORT` */
  readonly origin: string
  readonly perSecond: number
  readonly connections: number
  /** Of each request's body; 0 sends a GET. */
  readonly bodyBytes: number
  readonly durationMs: number
}

export interface SteadyResult {
  readonly completed: number
  readonly failed: number
  /** Of the first few. */
  readonly failures: readonly string[]
  readonly p50Ms: number
  readonly p99Ms: number
}

const TICK_MS = 5
/** A request that has not ended after so long has failed. */
const TIMEOUT_MS = 10_000
const FAILURES_KEPT = 5

let origin = ''

async function run(load: SteadyLoad): Promise<SteadyResult> {
  const { perSecond, connections, bodyBytes, durationMs } = load
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  const body = bodyBytes === 0 ? undefined : Buffer.alloc(bodyBytes, 'x')
  const latencies: number[] = []
  const failures: string[] = []
  const begun: Promise<void>[] = []
  const startedAt = performance.now()
  let underWay = 0
  const one = async () => {
    const at = performance.now()
    underWay++
    try {
      await send(agent, body)
      latencies.push(performance.now() - at)
    } catch (error) {
      failures.push((error as Error).message)
    }
    underWay--
  }
  for (let now = startedAt; now < startedAt + durationMs; now = performance.now()) {
    const due = ((now - startedAt) / 1000) * perSecond
    while (begun.length < due && underWay < connections) begun.push(one())
    await new Promise((resolve) => setTimeout(resolve, TICK_MS))
  }
  await Promise.all(begun)
  agent.destroy()
  return {
    completed: latencies.length,
    failed: failures.length,
    failures: failures.slice(0, FAILURES_KEPT),
    p50Ms: quantile(latencies, 0.5),
    p99Ms: quantile(latencies, 0.99)
  }
}

/** Rejects unless the answer is a whole one of the app's. */
function send(agent: Agent, body: Buffer | undefined): Promise<void> {
  const { hostname, port } = new URL(origin)
  return new Promise((resolve, reject) => {
    const sent = request({
      agent,
      hostname,
      port,
      timeout: TIMEOUT_MS,
      method: body === undefined ? 'GET' : 'POST',
      path: body === undefined ? '/buffer/64/0' : '/echo-length',
      headers:
        body === undefined
          ? {}
          : { 'content-type': 'application/octet-stream', 'content-length': body.length }
    })
    sent.on('timeout', () => sent.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)))
    sent.on('error', reject)
    sent.on('response', (response) => {
      let text = ''
      response.setEncoding('latin1')
      response.on('data', (chunk: string) => {
        text += chunk
      })
      response.on('error', reject)
      response.on('end', () => {
        const { statusCode } = response
        const expected = body === undefined ? text.length === 64 : text === String(body.length)
        if (statusCode === 200 && expected) resolve()
        else reject(new Error(`status ${statusCode}, ${text.length} bytes`))
      })
    })
    sent.end(body)
  })
}

process.on('message', (message: SteadyLoad | { origin: string }) => {
  origin = message.origin
  if (!('perSecond' in message)) return
  void run(message).then((result) => process.send?.({ result }))
})
process.channel?.ref()
process.send?.({ ready: true })
