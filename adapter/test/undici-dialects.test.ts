/** Behind the agent: dispatchers that speak one dialect of undici's handlers only. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Agent, Dispatcher } from 'undici'
import { ShmAgent } from '../undici/index.ts'
import { type Dialect, startScripted, transcribe } from './scripted.ts'
import { scene } from './support/scene.ts'

const ORIGIN = 'http://app.test'
const SCRIPT = {
  '/': { parts: ['HTTP/1.1 200 OK\r\nx-a: 1\r\nx-a: 2\r\ncontent-length: 2\r\n\r\nok'] }
} as const

/** Takes one dialect only, as undici 6 and 8 do. */
class OneDialect extends Dispatcher {
  readonly #inner: Dispatcher
  readonly #dialect: Dialect

  constructor(inner: Dispatcher, dialect: Dialect) {
    super()
    this.#inner = inner
    this.#dialect = dialect
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler) {
    const all = handler as unknown as Record<string, (...args: unknown[]) => unknown>
    const names =
      this.#dialect === 'legacy'
        ? ['onConnect', 'onHeaders', 'onData', 'onComplete', 'onError']
        : [
            'onRequestStart',
            'onResponseStart',
            'onResponseData',
            'onResponseEnd',
            'onResponseError'
          ]
    const only: typeof all = {}
    for (const name of names) {
      assert.equal(typeof all[name], 'function', `it has ${name}`)
      only[name] = (...args) => all[name]!(...args)
    }
    return this.#inner.dispatch(options, only as never)
  }
}

test('a fallback of any undici understands handlers of any other', async (t) => {
  const s = await scene(t)
  const { tcp } = await startScripted(s, SCRIPT)
  const direct = new Agent()
  s.defer(() => direct.destroy())
  for (const wanted of ['legacy', 'controller'] as const) {
    const fallback = new OneDialect(direct, wanted)
    const agent = new ShmAgent({ routes: { 'app.test': s.path }, fallback })
    s.defer(() => agent.destroy())
    for (const spoken of ['legacy', 'controller'] as const) {
      const options = { path: '/', method: 'GET' } as const
      const there = await transcribe(agent, { ...options, origin: tcp }, spoken)
      const here = await transcribe(agent, { ...options, origin: ORIGIN }, spoken)
      assert.deepEqual(there, here, `${spoken} to ${wanted}`)
      const failed = await transcribe(agent, { ...options, origin: 'http://127.0.0.1:1' }, spoken)
      assert.match(failed.events.at(-1)!, /ECONNREFUSED/)
    }
    // A handler that pauses, and one that aborts.
    for (const spoken of ['legacy', 'controller'] as const) {
      assert.equal(await pauseAndAbort(agent, tcp, spoken), 'paused, resumed, aborted: enough')
    }
  }
})

/** Pauses at the head, resumes a turn later, and aborts at the first data. */
function pauseAndAbort(agent: Dispatcher, origin: string, dialect: Dialect): Promise<string> {
  return new Promise((resolve) => {
    const told: string[] = []
    const resumeLater = (resume: () => void) => {
      told.push('paused')
      setImmediate(() => {
        told.push('resumed')
        resume()
      })
    }
    const failed = (error: Error) => {
      told.push(`aborted: ${error.message}`)
      resolve(told.join(', '))
    }
    let abort: (reason: Error) => void = () => undefined
    const handler =
      dialect === 'legacy'
        ? {
            onConnect: (given: typeof abort) => {
              abort = given
            },
            onHeaders(_status: number, _headers: unknown, resume: () => void) {
              resumeLater(resume)
              return false
            },
            onData: () => abort(new Error('enough')),
            onComplete() {},
            onError: failed
          }
        : {
            onRequestStart() {},
            onResponseStart(controller: { pause(): void; resume(): void }) {
              controller.pause()
              resumeLater(() => controller.resume())
            },
            onResponseData: (controller: { abort: typeof abort }) =>
              controller.abort(new Error('enough')),
            onResponseEnd() {},
            onResponseError: (_controller: unknown, error: Error) => failed(error)
          }
    agent.dispatch({ origin, path: '/', method: 'GET' }, handler as never)
  })
}
