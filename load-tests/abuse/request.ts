import { type Agent, type ClientRequest, type IncomingMessage, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { fill, firstDifference } from '../soak/pattern.ts'
import type { Random } from '../soak/random.ts'

/** A request that has not ended after so long hangs, ms. */
export const HANGS_MS = 20_000
const MAX_BODY_BYTES = 1024 * 1024

/**
 * How a request ended: `whole` with exactly the answer that is its own, `refused` by the proxy with
 * one of the statuses it documents, `broken` where the client saw that it was cut off, `left` by
 * the client itself. Anything else is `wrong`.
 */
export type Ending = 'whole' | 'refused' | 'broken' | 'left' | 'wrong'

export interface Outcome {
  readonly ending: Ending
  /** What was seen, when it was not whole. */
  readonly detail: string
}

type Behaviour = 'well' | 'leaves' | 'slow reader' | 'slow writer'

/** One request with the pattern of its seed, up, down or both. */
export function send(
  socketPath: string,
  agent: Agent,
  seed: number,
  random: Random
): Promise<Outcome> {
  const bytes = random.magnitude(1, MAX_BODY_BYTES)
  const upload = random.chance(0.6)
  const streamed = random.chance(0.5)
  const behaviour = behaviourOf(random)
  return new Promise((resolve) => {
    const sent = request({
      socketPath,
      agent,
      method: upload ? 'POST' : 'GET',
      path: upload ? `/echo/${seed}` : `/bytes/${seed}/${bytes}`,
      headers: upload ? bodyHeaders(bytes, streamed) : {}
    })
    const timer = setTimeout(() => end('wrong', `no end after ${HANGS_MS} ms`), HANGS_MS)
    const end = (ending: Ending, detail = '') => {
      clearTimeout(timer)
      resolve({ ending, detail: `${sent.method} ${sent.path} of ${bytes} B: ${detail}` })
      if (ending !== 'whole') sent.destroy()
    }
    sent.on('error', (error) => end('broken', error.message))
    sent.on('response', (response) => {
      judge(response, seed, bytes, behaviour === 'slow reader').then(
        ([ending, detail]) => end(ending, detail),
        (error: Error) => end('broken', error.message)
      )
    })
    if (behaviour === 'leaves') setTimeout(() => end('left'), random.below(30))
    void write(sent, upload ? bytes : 0, seed, behaviour === 'slow writer')
  })
}

function behaviourOf(random: Random): Behaviour {
  if (random.chance(0.1)) return 'leaves'
  if (random.chance(0.05)) return 'slow reader'
  return random.chance(0.05) ? 'slow writer' : 'well'
}

function bodyHeaders(bytes: number, streamed: boolean): Record<string, string | number> {
  return streamed
    ? { 'content-type': 'application/x-stream', 'transfer-encoding': 'chunked' }
    : { 'content-type': 'application/octet-stream', 'content-length': bytes }
}

async function write(sent: ClientRequest, bytes: number, seed: number, slow: boolean) {
  const body = Buffer.allocUnsafe(bytes)
  fill(body, seed, 0)
  if (!slow) {
    sent.end(body)
    return
  }
  const step = Math.ceil(bytes / 5)
  for (let at = 0; at < bytes && !sent.destroyed; at += step) {
    sent.write(body.subarray(at, at + step))
    await sleep(50)
  }
  sent.end()
}

async function judge(
  response: IncomingMessage,
  seed: number,
  bytes: number,
  slow: boolean
): Promise<[Ending, string]> {
  let at = 0
  let differs = -1
  const { statusCode: status = 0 } = response
  for await (const chunk of response as AsyncIterable<Buffer>) {
    if (status === 200 && differs === -1) {
      const difference = firstDifference(chunk, seed, at)
      if (difference !== -1) differs = at + difference
    }
    at += chunk.length
    if (slow) await sleep(20)
  }
  if (status === 200) {
    if (response.headers['x-id'] !== String(seed)) return ['wrong', "another request's answer"]
    if (differs !== -1) return ['wrong', `byte ${differs} is not its own`]
    return at === bytes ? ['whole', ''] : ['wrong', `${at} bytes and a clean end`]
  }
  const reason = response.headers['x-shmesh-reason']
  const documented = reason !== undefined && status >= 502 && status <= 504
  return [documented ? 'refused' : 'wrong', `${status} ${reason ?? 'of nobody'}`]
}
