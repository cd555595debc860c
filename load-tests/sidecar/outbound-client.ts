/**
 * The app of the outbound chains, a process of its own: `outbound-client.js tcp|unix|shm ADDRESS`
 * sends requests as services do, with undici, and is what is measured. Gets a {@link Load}, answers
 * with `{ result }`.
 */
import { Pool, request } from 'undici'
import { ShmAgent } from '../../adapter/undici/index.ts'
import { bodyOf, bodyPath, UPLOAD_ANSWER } from '../demo/bodies.ts'
import type { Load } from '../demo/driver.ts'
import { percentile } from '../demo/measure.ts'
import type { DriveResult } from './wrk.ts'

/** How the client reaches the proxy, or the app itself. */
export type OutboundMode = 'tcp' | 'unix' | 'shm'

/** Whom it asks, where the address does not say. */
const ORIGIN = 'http://app.internal'
const CONNECTIONS = 256

const [mode, address] = process.argv.slice(2) as [OutboundMode, string]
const origin = mode === 'tcp' ? address : ORIGIN
const dispatcher =
  mode === 'shm'
    ? new ShmAgent(address)
    : new Pool(origin, {
        connections: CONNECTIONS,
        ...(mode === 'unix' && { connect: { socketPath: address } })
      })

async function drive(load: Load): Promise<DriveResult> {
  const { connections, durationMs, variants = 1 } = load
  const times: number[] = []
  let errors = 0
  const startedAt = performance.now()
  await Promise.all(
    Array.from({ length: connections }, async (_, lane) => {
      while (performance.now() - startedAt < durationMs) {
        const sentAt = performance.now()
        if (!(await ask(load, lane % variants))) errors++
        times.push(performance.now() - sentAt)
      }
    })
  )
  const sorted = Float64Array.from(times).sort()
  return {
    completed: times.length,
    elapsedMs: performance.now() - startedAt,
    p50Ms: percentile(sorted, 0.5),
    p99Ms: percentile(sorted, 0.99),
    p999Ms: percentile(sorted, 0.999),
    errors
  }
}

/** False when the answer was not the one expected. */
async function ask({ method, bytes, prefix, compare }: Load, variant: number): Promise<boolean> {
  const body = bodyOf(bytes, variant)
  const headers = {
    'content-type': 'application/octet-stream',
    ...(compare === 'bytes' && { 'x-compare': 'bytes' })
  }
  const url = `${origin}${prefix}${bodyPath(bytes, variant)}`
  const sent = method === 'GET' ? { method } : { method, headers, body }
  const answer = await request(url, { ...sent, dispatcher })
  const received = Buffer.from(await answer.body.arrayBuffer())
  const expected = method === 'GET' ? body : UPLOAD_ANSWER
  if (answer.statusCode !== 200 || received.length !== expected.length) return false
  return compare !== 'bytes' || received.equals(expected)
}

process.on('message', (load: Load) => {
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
process.once('SIGTERM', async () => {
  await dispatcher.close()
  process.channel?.unref()
})
