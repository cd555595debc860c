/** Requests that are given up, at every point of their life. */
import assert from 'node:assert/strict'
import { type EventEmitter, once } from 'node:events'
import { type TestContext, test } from 'node:test'
import { ShmAgent } from '../undici/index.ts'
import type { Dialect } from './scripted.ts'
import { startScripted, transcribe } from './scripted.ts'
import { eventually } from './support/eventually.ts'
import { pattern } from './support/pattern.ts'
import { scene } from './support/scene.ts'

const ORIGIN = 'http://app.test'
const SCRIPT = {
  '/': { parts: ['HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'] },
  '/never': {},
  '/begun': { parts: ['HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nbegun', 'rest.'] },
  '/large': { parts: ['HTTP/1.1 200 OK\r\ncontent-length: 8000000\r\n\r\n'], fill: 8_000_000 },
  '/unread': { early: true },
  '/cut': { finally: 'destroy' }
} as const

async function setUp(t: TestContext) {
  const s = await scene(t)
  const { server } = await startScripted(s, SCRIPT)
  const agent = new ShmAgent({ uri: s.path, connections: 1 })
  s.defer(() => agent.destroy())
  /** Nothing of an aborted request stays, and the next one is served. */
  const works = async () => {
    const options = { origin: ORIGIN, path: '/', method: 'GET', reset: true } as const
    assert.equal((await transcribe(agent, options)).events.at(-1), 'end {}')
    await eventually('the server has no connection', async () => {
      return (await server.call('connections')) === 0
    })
    return server.call('seen')
  }
  return { server, agent, works }
}

type Abort = (reason?: Error) => void

interface Watched {
  readonly path: string
  readonly body?: unknown
  /** Called at every event. */
  on(event: string, abort: Abort): void
}

/** Resolves with what a handler was told, when it was told the end or an error. */
function watch(agent: ShmAgent, dialect: Dialect, { path, body, on }: Watched): Promise<string[]> {
  return new Promise((resolve) => {
    const told: string[] = []
    let abort: Abort = () => undefined
    const tell = (event: string) => {
      told.push(event)
      on(event, abort)
      return true
    }
    const begin = (given: Abort) => {
      abort = given
      tell('start')
    }
    const end = (event: string) => {
      told.push(event)
      // Later than anything that might wrongly follow.
      setImmediate(() => resolve(told))
    }
    const fail = (error: Error & { code?: string }) => end(error.code ?? error.message)
    const handler =
      dialect === 'controller'
        ? {
            onRequestStart: (controller: { abort: Abort }) =>
              begin((reason) => controller.abort(reason)),
            onResponseStart: () => tell('head'),
            onResponseData: () => tell('data'),
            onResponseEnd: () => tell('end') && end(''),
            onResponseError: (_controller: unknown, error: Error) => fail(error)
          }
        : {
            onConnect: begin,
            onHeaders: () => tell('head'),
            onData: () => tell('data'),
            onComplete: () => tell('end') && end(''),
            onError: fail
          }
    const method = body === undefined ? 'GET' : 'POST'
    agent.dispatch({ origin: ORIGIN, path, method, body: body as never }, handler as never)
  })
}

for (const dialect of ['controller', 'legacy'] as const) {
  test(`abort within a callback, ${dialect}`, async (t) => {
    const { agent, works } = await setUp(t)
    for (const [at, path, told, requests] of [
      ['start', '/', ['start', 'UND_ERR_ABORTED'], 1],
      ['head', '/begun', ['start', 'head', 'UND_ERR_ABORTED'], 2],
      ['data', '/begun', ['start', 'head', 'data', 'UND_ERR_ABORTED'], 2],
      ['data', '/large', ['start', 'head', 'data', 'UND_ERR_ABORTED'], 2],
      ['end', '/', ['start', 'head', 'data', 'end', ''], 2]
    ] as const) {
      const on = (event: string, abort: Abort) => {
        if (event === at) abort()
      }
      assert.deepEqual(await watch(agent, dialect, { path, on }), told, `${path} at ${at}`)
      // One is that of `works`: aborted at the start, nothing was sent.
      assert.equal((await works()).length, requests, `${path} at ${at}`)
    }
  })

  test(`what a callback throws aborts its request, ${dialect}`, async (t) => {
    const { agent, works } = await setUp(t)
    for (const [at, told] of [
      ['start', ['start', 'mine']],
      ['head', ['start', 'head', 'mine']],
      ['data', ['start', 'head', 'data', 'mine']],
      ['end', ['start', 'head', 'data', 'end', 'mine']]
    ] as const) {
      const on = (event: string) => {
        if (event === at) throw new Error('mine')
      }
      assert.deepEqual(await watch(agent, dialect, { path: '/', on }), told, at)
      await works()
    }
  })
}

test('abort from outside: queued, sent, between chunks', async (t) => {
  const { server, agent, works } = await setUp(t)
  const reason = new Error('my reason')
  let abortFirst: Abort | undefined
  const first = watch(agent, 'controller', {
    path: '/never',
    on: (_event, abort) => {
      abortFirst = abort
    }
  })
  await server.call('heads', 1)
  // The only connection is taken.
  let abortSecond: Abort | undefined
  const second = watch(agent, 'controller', {
    path: '/',
    on: (_event, abort) => {
      abortSecond = abort
    }
  })
  assert.equal(agent.statistics().origins[0]?.queued, 1)
  abortSecond?.(reason)
  assert.deepEqual(await second, ['start', 'my reason'])
  abortFirst?.(reason)
  assert.deepEqual(await first, ['start', 'my reason'])
  assert.deepEqual(
    (await works()).map(({ target }) => target),
    ['/never', '/']
  )

  const between = await watch(agent, 'controller', {
    path: '/begun',
    on(event, abort) {
      if (event === 'data') setImmediate(abort, reason)
    }
  })
  assert.deepEqual(between, ['start', 'head', 'data', 'my reason'])
  await works()
})

test('abort of an upload ends its body', async (t) => {
  const { server, agent, works } = await setUp(t)
  for (const path of ['/never', '/unread']) {
    let ended = false
    async function* endless() {
      try {
        for (;;) yield pattern(50_000)
      } finally {
        ended = true
      }
    }
    let abort: Abort | undefined
    const told = watch(agent, 'controller', {
      path,
      body: endless(),
      on: (_event, given) => {
        abort = given
      }
    })
    const before = await server.call('bodyBytes')
    await eventually('bytes of the body came', async () => {
      return (await server.call('bodyBytes')) > before || path === '/unread'
    })
    abort?.()
    assert.deepEqual(await told, ['start', 'UND_ERR_ABORTED'])
    await eventually('the body was ended', () => ended)
    await works()
  }
})

test('abort of a response that is paused', async (t) => {
  const { agent, works } = await setUp(t)
  const told = await new Promise<string[]>((resolve) => {
    const events: string[] = []
    agent.dispatch({ origin: ORIGIN, path: '/large', method: 'GET' }, {
      onRequestStart: () => events.push('start'),
      onResponseStart(controller: { pause(): void; abort(reason: Error): void }) {
        events.push('head')
        controller.pause()
        setImmediate(() => controller.abort(new Error('mine')))
      },
      onResponseData: () => events.push('data'),
      onResponseEnd: () => events.push('end'),
      onResponseError: (_controller: unknown, error: Error) => resolve([...events, error.message])
    } as never)
  })
  assert.deepEqual(told, ['start', 'head', 'mine'])
  await works()
})

test('what a handler throws when it is told an error is an error event of the agent', async (t) => {
  const { agent } = await setUp(t)
  const fail = () => {
    throw new Error('mine')
  }
  const nothing = () => undefined
  const legacy = { onConnect: nothing, onHeaders: nothing, onData: nothing, onComplete: nothing }
  for (const handler of [
    { ...legacy, onError: fail },
    { onRequestStart: nothing, onResponseError: fail }
  ]) {
    const told = once(agent as EventEmitter, 'error')
    agent.dispatch({ origin: ORIGIN, path: '/cut', method: 'POST' }, handler as never)
    const [thrown] = await told
    assert.equal((thrown as Error).message, 'mine')
  }
})
