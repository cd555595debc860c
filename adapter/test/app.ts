/** The app of fixtures/app.ts, and what its tests do with it. */
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { Agent } from 'undici'
import { connect, type ShmSession } from '../index.ts'
import { ShmAgent } from '../undici/index.ts'
import type { AppMethods, AppOptions } from './fixtures/app.ts'
import { type Child, type ChildOptions, startChild } from './support/child.ts'
import type { Scene } from './support/scene.ts'

export type App = Child<AppMethods>

/** Starts the app; it is closed at the end of the test, and must then hold nothing. */
export async function startApp(
  scene: Scene,
  options: Partial<AppOptions> = {},
  child?: ChildOptions
): Promise<{ app: App; transport: string | undefined; tcp: string | undefined }> {
  const app = await startChild<AppMethods>(
    scene,
    new URL('./fixtures/app.js', import.meta.url),
    child
  )
  const started = await app.call('start', { plugin: { path: scene.path }, ...options })
  scene.defer(async () => {
    if (!app.running) return
    await app.call('close')
    await app.call('clean')
  })
  return { app, ...started }
}

/** A dispatcher whose every request goes to the app. */
export function agentFor(scene: Scene): ShmAgent {
  const fallback = new Agent()
  const agent = new ShmAgent({ uri: scene.path, fallback })
  scene.defer(async () => {
    await agent.destroy()
    await fallback.destroy()
  })
  return agent
}

/** A session with the app, for bytes no client would send. */
export async function sessionFor(scene: Scene): Promise<ShmSession> {
  const session = await connect(scene.path)
  scene.defer(() => session.destroy())
  return session
}

/** Plain HTTP on the same path, as curl would speak it. */
export function plainGet(path: string, target: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ socketPath: path, path: target }, (response: IncomingMessage) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (text: string) => {
        body += text
      })
      response.once('end', () => resolve({ status: response.statusCode ?? 0, body }))
    })
    request.once('error', reject)
    request.end()
  })
}
