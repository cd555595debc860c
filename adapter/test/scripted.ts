/** The server of fixtures/scripted-server.ts, and handlers that write down what they are told. */
import type { Dispatcher } from 'undici'
import { agentFor } from './app.ts'
import type { Answer, ScriptedMethods } from './fixtures/scripted-server.ts'
import { type Child, startChild } from './support/child.ts'
import { eventually } from './support/eventually.ts'
import { sha256 } from './support/pattern.ts'
import type { Scene } from './support/scene.ts'

export interface Scripted {
  readonly server: Child<ScriptedMethods>
  /** Its origin over TCP. */
  readonly tcp: string
}

/** Starts it on the scene's path; at the end of the test it must hold nothing. */
export async function startScripted(
  scene: Scene,
  script: Readonly<Record<string, Answer>>
): Promise<Scripted> {
  const server = await startChild<ScriptedMethods>(
    scene,
    new URL('./fixtures/scripted-server.js', import.meta.url)
  )
  const port = await server.call('start', scene.path, script)
  scene.defer(async () => {
    if (!server.running) return
    await server.call('close')
    await server.call('clean')
  })
  return { server, tcp: `http://127.0.0.1:${port}` }
}

export { agentFor }

/** What a handler was told, in order; bodies are gathered. */
export interface Transcript {
  readonly events: readonly string[]
  readonly body: string
}

export type Dialect = 'legacy' | 'controller'

/** Dispatches and resolves when the handler has been told the end, or an error. */
export function transcribe(
  dispatcher: Dispatcher,
  options: Dispatcher.DispatchOptions,
  dialect: Dialect = 'controller'
): Promise<Transcript> {
  return new Promise((resolve) => {
    const events: string[] = []
    const chunks: Buffer[] = []
    const end = (event: string) => {
      events.push(event)
      const body = Buffer.concat(chunks)
      const text = body.length > 200 ? sha256(body) : body.toString('latin1')
      resolve({ events, body: text })
    }
    const failed = (error: Error & { code?: string }) => end(`error ${error.code ?? error.name}`)
    const handler =
      dialect === 'controller'
        ? {
            onRequestStart: () => events.push('start'),
            onResponseStart: (_c: unknown, status: number, headers: object, reason: string) =>
              events.push(`${status} ${reason} ${JSON.stringify(headers)}`),
            onResponseData: (_c: unknown, chunk: Buffer) => chunks.push(chunk),
            onResponseEnd: (_c: unknown, trailers: object) =>
              end(`end ${JSON.stringify(trailers)}`),
            onResponseError: (_c: unknown, error: Error) => failed(error)
          }
        : {
            onConnect: () => events.push('start'),
            onHeaders(status: number, raw: Buffer[], _resume: unknown, reason: string) {
              events.push(`${status} ${reason} ${raw.map(String).join('|')}`)
              return true
            },
            onData: (chunk: Buffer) => chunks.push(chunk) > 0,
            onComplete: (raw: Buffer[] | null) => end(`end ${(raw ?? []).map(String).join('|')}`),
            onError: failed
          }
    dispatcher.dispatch(options, handler as never)
  })
}

/** Nothing of the agent waits or is under way. */
export function idle(agent: ReturnType<typeof agentFor>): Promise<void> {
  return eventually('the agent is idle', () =>
    agent.statistics().origins.every(({ queued }) => queued === 0)
  )
}
