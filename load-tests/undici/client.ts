/**
 * A client, a process of its own: `client.js shm|socket PATH`. Sends what its parent asks for, and
 * answers with the CPU and the time it took.
 */
import { type Dispatcher, fetch, Pool } from 'undici'
import { ShmAgent } from '../../adapter/undici/index.ts'
import type { Job, Transport } from './cells.ts'

export interface Task {
  readonly job: Job
  readonly count: number
}

export interface ClientMessage {
  /** User and system, all threads. */
  readonly cpuMicroseconds: number
  readonly elapsedMicroseconds: number
  /** Median time of a request. */
  readonly medianMicroseconds: number
}

const ORIGIN = 'http://orders.internal'

const [transport, socketPath] = process.argv.slice(2) as [Transport, string]
const agent = transport === 'shm' ? new ShmAgent(socketPath) : undefined
const dispatcher: Dispatcher = agent ?? new Pool(ORIGIN, { socketPath })

function sender({
  api,
  path: usual,
  shmPath,
  upload,
  alloc,
  read = 'arrayBuffer'
}: Job): () => Promise<unknown> {
  const path = transport === 'shm' ? (shmPath ?? usual) : usual
  const body = upload === undefined ? undefined : Buffer.alloc(upload, 'x')
  const method = body === undefined ? 'GET' : 'POST'
  const headers = body === undefined ? {} : { 'content-type': 'application/octet-stream' }
  const options = { origin: ORIGIN, path, method, headers, body: body ?? null } as const
  if (api === 'dispatch' || api === 'views') return () => dispatch(options, api === 'views')
  if (api === 'fetch') {
    return async () => {
      const response = await fetch(`${ORIGIN}${path}`, { dispatcher, method, headers })
      return response.text()
    }
  }
  return async () => {
    const made = alloc === true && upload !== undefined && agent?.allocUnsafe(upload, options)
    const response = await dispatcher.request(made ? { ...options, body: made.fill('x') } : options)
    if (response.statusCode !== 200) throw new Error(`status ${response.statusCode}`)
    return response.body[read]()
  }
}

function dispatch(options: Dispatcher.DispatchOptions, views: boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    dispatcher.dispatch(options, {
      onRequestStart() {},
      onResponseStart() {},
      onResponseData() {},
      ...(views && { onResponseView() {} }),
      onResponseEnd: () => resolve(),
      onResponseError: (_controller: unknown, error: Error) => reject(error)
    } as never)
  })
}

async function run({ job, count }: Task): Promise<ClientMessage> {
  const send = sender(job)
  const times: number[] = []
  let left = count
  const before = process.cpuUsage()
  const startedAt = performance.now()
  await Promise.all(
    Array.from({ length: job.lanes }, async () => {
      while (left-- > 0) {
        const sentAt = performance.now()
        await send()
        times.push(performance.now() - sentAt)
      }
    })
  )
  const elapsedMicroseconds = (performance.now() - startedAt) * 1000
  const { user, system } = process.cpuUsage(before)
  const medianMicroseconds = times.sort((a, b) => a - b)[times.length >> 1]! * 1000
  return { cpuMicroseconds: user + system, elapsedMicroseconds, medianMicroseconds }
}

process.on('message', async (task: Task) => {
  process.send!(await run(task))
})
process.once('SIGTERM', async () => {
  await dispatcher.close()
  process.channel?.unref()
})
// Idle between two tasks, and not to end then.
process.channel?.ref()
process.send!('ready')
